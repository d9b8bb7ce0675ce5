"""The languages a user may name: one spelling inside the product, whatever was typed outside."""

from __future__ import annotations

import re
import unicodedata
from difflib import get_close_matches


def _plain(name: str) -> str:
    """A name without capitals and accents, as people type it."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(character for character in decomposed if unicodedata.category(character) != "Mn")


# In the order of Whisper's own vocabulary; its tokens are numbered so.
LANGUAGES: dict[str, str] = {
    "en": "english", "zh": "chinese", "de": "german", "es": "spanish", "ru": "russian", "ko": "korean",
    "fr": "french", "ja": "japanese", "pt": "portuguese", "tr": "turkish", "pl": "polish", "ca": "catalan",
    "nl": "dutch", "ar": "arabic", "sv": "swedish", "it": "italian", "id": "indonesian", "hi": "hindi",
    "fi": "finnish", "vi": "vietnamese", "he": "hebrew", "uk": "ukrainian", "el": "greek", "ms": "malay",
    "cs": "czech", "ro": "romanian", "da": "danish", "hu": "hungarian", "ta": "tamil", "no": "norwegian",
    "th": "thai", "ur": "urdu", "hr": "croatian", "bg": "bulgarian", "lt": "lithuanian", "la": "latin",
    "mi": "maori", "ml": "malayalam", "cy": "welsh", "sk": "slovak", "te": "telugu", "fa": "persian",
    "lv": "latvian", "bn": "bengali", "sr": "serbian", "az": "azerbaijani", "sl": "slovenian", "kn": "kannada",
    "et": "estonian", "mk": "macedonian", "br": "breton", "eu": "basque", "is": "icelandic", "hy": "armenian",
    "ne": "nepali", "mn": "mongolian", "bs": "bosnian", "kk": "kazakh", "sq": "albanian", "sw": "swahili",
    "gl": "galician", "mr": "marathi", "pa": "punjabi", "si": "sinhala", "km": "khmer", "sn": "shona",
    "yo": "yoruba", "so": "somali", "af": "afrikaans", "oc": "occitan", "ka": "georgian", "be": "belarusian",
    "tg": "tajik", "sd": "sindhi", "gu": "gujarati", "am": "amharic", "yi": "yiddish", "lo": "lao",
    "uz": "uzbek", "fo": "faroese", "ht": "haitian creole", "ps": "pashto", "tk": "turkmen", "nn": "nynorsk",
    "mt": "maltese", "sa": "sanskrit", "lb": "luxembourgish", "my": "myanmar", "bo": "tibetan", "tl": "tagalog",
    "mg": "malagasy", "as": "assamese", "tt": "tatar", "haw": "hawaiian", "ln": "lingala", "ha": "hausa",
    "ba": "bashkir", "jw": "javanese", "su": "sundanese", "yue": "cantonese",
}  # fmt: skip
"""Code to English name. ISO 639-1 but for three that Whisper writes its own way: `jw`, `haw` and `yue`."""

ALIASES: dict[str, str] = {
    "burmese": "my", "castilian": "es", "farsi": "fa", "filipino": "tl", "flemish": "nl", "haitian": "ht",
    "iw": "he", "in": "id", "jv": "jw", "letzeburgesch": "lb", "mandarin": "zh", "moldavian": "ro", "mo": "ro",
    "moldovan": "ro", "nb": "no", "bokmal": "no", "panjabi": "pa", "pushto": "ps", "sinhalese": "si", "ji": "yi",
    "valencian": "ca", "cn": "zh", "ua": "uk", "kz": "kk", "cz": "cs", "gr": "el", "jp": "ja", "se": "sv",
    "brazilian portuguese": "pt", "simplified chinese": "zh", "traditional chinese": "zh", "swiss german": "de",
}  # fmt: skip
"""Other names, older codes, and country codes often taken for languages (only those that are no language here)."""

THREE_LETTERS: dict[str, str] = {
    "en": "eng", "zh": "zho chi cmn", "de": "deu ger gsw", "es": "spa", "ru": "rus", "ko": "kor", "fr": "fra fre",
    "ja": "jpn", "pt": "por", "tr": "tur", "pl": "pol", "ca": "cat", "nl": "nld dut vls", "ar": "ara arb arz",
    "sv": "swe", "it": "ita", "id": "ind", "hi": "hin", "fi": "fin", "vi": "vie", "he": "heb", "uk": "ukr",
    "el": "ell gre", "ms": "msa may zsm zlm", "cs": "ces cze", "ro": "ron rum mol", "da": "dan", "hu": "hun",
    "ta": "tam", "no": "nor nob", "th": "tha", "ur": "urd", "hr": "hrv", "bg": "bul", "lt": "lit", "la": "lat",
    "mi": "mri mao", "ml": "mal", "cy": "cym wel", "sk": "slk slo", "te": "tel", "fa": "fas per pes prs",
    "lv": "lav lvs", "bn": "ben", "sr": "srp", "az": "aze azj azb", "sl": "slv", "kn": "kan", "et": "est ekk",
    "mk": "mkd mac", "br": "bre", "eu": "eus baq", "is": "isl ice", "hy": "hye arm", "ne": "nep npi",
    "mn": "mon khk", "bs": "bos", "kk": "kaz", "sq": "sqi alb als", "sw": "swa swh", "gl": "glg", "mr": "mar",
    "pa": "pan pnb", "si": "sin", "km": "khm", "sn": "sna", "yo": "yor", "so": "som", "af": "afr", "oc": "oci",
    "ka": "kat geo", "be": "bel", "tg": "tgk", "sd": "snd", "gu": "guj", "am": "amh", "yi": "yid ydd", "lo": "lao",
    "uz": "uzb uzn", "fo": "fao", "ht": "hat", "ps": "pus pbt pbu", "tk": "tuk", "nn": "nno", "mt": "mlt",
    "sa": "san", "lb": "ltz", "my": "mya bur", "bo": "bod tib", "tl": "tgl fil", "mg": "mlg plt", "as": "asm",
    "tt": "tat", "ln": "lin", "ha": "hau", "ba": "bak", "jw": "jav", "su": "sun",
}  # fmt: skip
"""ISO 639-2, terminology and bibliographic codes (`deu`, `ger`), and those of 639-3 for what a macrolanguage is spoken
as (`cmn` is written `zh`, `arb` `ar`). By the registers of ISO 639-2 (Library of Congress) and ISO 639-3 (SIL)."""

OWN_NAMES: dict[str, str] = {
    "de": "deutsch", "es": "español castellano", "fr": "français", "it": "italiano", "pt": "português",
    "nl": "nederlands vlaams", "sv": "svenska", "da": "dansk", "no": "norsk bokmål", "fi": "suomi", "is": "íslenska",
    "pl": "polski", "cs": "čeština", "sk": "slovenčina", "hu": "magyar", "ro": "română", "tr": "türkçe",
    "ru": "русский", "uk": "українська", "bg": "български", "sr": "српски srpski", "hr": "hrvatski",
    "el": "ελληνικά", "he": "עברית", "ar": "العربية", "fa": "فارسی", "hi": "हिन्दी", "th": "ไทย",
    "zh": "中文 普通话", "yue": "粵語 广东话", "ja": "日本語", "ko": "한국어", "ca": "català", "eu": "euskara",
    "gl": "galego", "cy": "cymraeg", "id": "indonesia", "ms": "melayu",
}  # fmt: skip
"""What speakers call their languages, as forms of other programs fill it in."""

AUTOMATIC = frozenset({"", "auto", "detect", "automatic", "und", "mul", "mis", "zxx"})
"""Nothing said, and the codes of ISO 639-2 for "undetermined" and the like, which media files bear."""
_TAG = re.compile(r"[a-z]{2,8}(-[a-z0-9]{1,8})*")
_CODES: dict[str, str] = {
    **ALIASES,
    **{name: code for code, name in LANGUAGES.items()},
    **{other: code for code, others in THREE_LETTERS.items() for other in others.split()},
}
_NAMES: dict[str, str] = {_plain(name): code for code, names in OWN_NAMES.items() for name in names.split()}


def parse_language(value: str | None) -> str | None:
    """Returns the code of what was typed, or None for "detect it" (`auto`, `und`, empty, None).

    Understands codes of ISO 639-1 to 639-3 (`en`, `EN`, `deu`, `ger`), tags with script, region or encoding (`en-US`,
    `zh-Hant`, `pt_BR.UTF-8`), and names (`German`, `Deutsch`). Raises ValueError that lists near matches.
    """
    typed = " ".join((value or "").casefold().split())
    tag = re.split(r"[.@]", typed.replace("_", "-"))[0]
    for candidate in (tag, typed, *_subtags(tag)):
        if candidate in AUTOMATIC:
            return None
        if candidate in LANGUAGES:
            return candidate
        if candidate in _CODES:
            return _CODES[candidate]
    if (plain := _plain(typed)) in _NAMES:
        return _NAMES[plain]
    raise ValueError(_refusal(str(value), typed))


def _subtags(tag: str) -> tuple[str, ...]:
    """The language of a longer tag; before it the extended one that some write behind it (`zh-yue`, RFC 5646)."""
    if not _TAG.fullmatch(tag):
        return ()
    language, *rest = tag.split("-")
    extended = [part for part in rest[:1] if part in ("yue", "cmn")]
    return (*extended, language)


def language_name(code: str) -> str:
    """The English name, capitalised; the code itself when it is unknown."""
    return LANGUAGES.get(code, code).title() if code in LANGUAGES else code


def _refusal(value: str, typed: str) -> str:
    near = get_close_matches(typed[:60], [*LANGUAGES, *ALIASES, *LANGUAGES.values()], n=3, cutoff=0.6)
    names = [f"{match!r}" if match in LANGUAGES else f"{match!r} ({_CODES[match]})" for match in near]
    advice = f"did you mean {' or '.join(names)}?" if names else "say a code such as 'en', a name such as 'german'"
    return f"{value[:60]!r} is no language that any engine here knows; {advice} ('auto' detects it)"
