"""The decoders that may run, by their names in FFmpeg; all others are left unopened.

What cameras, telephones, editors, screen recorders and download sites write. Left out are decoders
of subtitles and teletext, of text drawn as pictures (ansi, tty), of games and consoles, of single
still formats, and wrappers of hardware: nobody's clip needs them, and each is code that a crafted
file reaches. PNG is in, but only after `within_png` looked at the packet.
"""

from __future__ import annotations

import zlib

PNG = frozenset({"png", "apng"})

_VIDEO = (
    "h264 hevc vvc av1 libdav1d libaom-av1 libgav1 vp3 vp4 vp5 vp6 vp6a vp6f vp7 vp8 vp9 "
    "libvpx libvpx-vp9 theora dirac mpeg1video mpeg2video mpegvideo mpeg4 msmpeg4 msmpeg4v1 "
    "msmpeg4v2 h261 h263 h263i h263p flv flashsv flashsv2 wmv1 wmv2 wmv3 wmv3image vc1 vc1image "
    "mss1 mss2 rv10 rv20 rv30 rv40 rv60 cavs svq1 svq3 cinepak rpza smc qtrle 8bps indeo2 indeo3 "
    "indeo4 indeo5 msrle msvideo1 mjpeg mjpegb sp5x amv jpegls jpeg2000 libopenjpeg gif bmp tiff "
    "targa prores prores_raw dnxhd cfhd dvvideo apv aic avui media100 pixlet hap dxv notchlc "
    "speedhq hq_hqa hqx magicyuv utvideo ffv1 ffvhuff huffyuv hymt lagarith ylc vble sheervideo "
    "fraps dxtory camtasia camstudio tscc2 zmbv zlib mszh asv1 asv2 snow rawvideo "
    "v210 v210x v308 v408 v410 r10k r210 y41p yuv4 cyuv cljr bitpacked simbiosis_imx"
)
_AUDIO = (
    "aac aac_fixed aac_latm libfdk_aac mp1 mp1float mp2 mp2float mp3 mp3float mp3adu mp3adufloat "
    "mp3on4 mp3on4float ac3 ac3_fixed eac3 dca truehd mlp flac alac als ape tta wavpack tak "
    "vorbis libvorbis opus libopus speex libspeex amrnb amrwb libopencore_amrnb libopencore_amrwb "
    "gsm gsm_ms ilbc g722 g723_1 g726 g726le g729 qcelp evrc nellymoser qdm2 qdmc mace3 mace6 "
    "wmav1 wmav2 wmapro wmavoice wmalossless cook sipr ralf real_144 real_288 atrac1 atrac3 "
    "atrac3al atrac3plus atrac3plusal imc iac truespeech dvaudio s302m dolby_e "
    "adpcm_ima_qt adpcm_ima_wav adpcm_ms adpcm_swf adpcm_yamaha adpcm_ima_amv "
    "pcm_alaw pcm_mulaw pcm_bluray pcm_dvd pcm_s8 pcm_u8 pcm_s8_planar pcm_s16be pcm_s16le "
    "pcm_s16be_planar pcm_s16le_planar pcm_s24be pcm_s24le pcm_s24le_planar pcm_s24daud "
    "pcm_s32be pcm_s32le pcm_s32le_planar pcm_s64be pcm_s64le pcm_u16be pcm_u16le pcm_u24be "
    "pcm_u24le pcm_u32be pcm_u32le pcm_f16le pcm_f24le pcm_f32be pcm_f32le pcm_f64be pcm_f64le"
)
ON_OPENING = ",".join((_VIDEO + " " + _AUDIO).split())
"""Decoders that libav may open by itself, while it looks at a file."""
DECODERS = ",".join((ON_OPENING, *sorted(PNG)))
"""Decoders that may run at all."""
ALLOWED = frozenset(DECODERS.split(","))

# Of a packed text or colour profile; Pillow's own limit is one megabyte for
# each, and 64 for all of a picture.
_UNPACKED_MAX = 4 * 2**20
_PACKED = (b"zTXt", b"iCCP")


def within_png(content: bytes) -> bool:
    """Whether no text or colour profile of a PNG unpacks into more than a few megabytes.

    libav unpacks them without a bound. content: a PNG, or chunks of one.
    """
    left = _UNPACKED_MAX
    position = 8 if content.startswith(b"\x89PNG") else 0
    while position + 8 <= len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        kind = content[position + 4 : position + 8]
        if kind in _PACKED:
            left -= _unpacked(content[position + 8 : position + 8 + length], left)
            if left <= 0:
                return False
        position += 12 + length
    return True


def _unpacked(chunk: bytes, most: int) -> int:
    """Into how many bytes the packed part of a chunk unpacks, counted up to `most`."""
    begin = chunk.find(b"\0") + 2  # after a name and the method
    try:
        return len(zlib.decompressobj().decompress(chunk[begin:], most))
    except zlib.error:
        return 0
