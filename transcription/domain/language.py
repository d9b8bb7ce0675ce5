"""The languages a user may name: one spelling inside the product, whatever was typed outside."""

from __future__ import annotations

from difflib import get_close_matches

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
    "iw": "he", "in": "id", "jv": "jw", "letzeburgesch": "lb", "mandarin": "zh", "moldavian": "ro",
    "moldovan": "ro", "nb": "no", "bokmal": "no", "panjabi": "pa", "pushto": "ps", "sinhalese": "si",
    "valencian": "ca", "cn": "zh", "ua": "uk", "kz": "kk", "cz": "cs", "gr": "el", "jp": "ja", "se": "sv",
}  # fmt: skip
"""Other names, older codes, and country codes often taken for languages (only those that are no language here)."""

AUTOMATIC = frozenset({"", "auto", "detect", "automatic"})
_CODES: dict[str, str] = {**ALIASES, **{name: code for code, name in LANGUAGES.items()}}


def parse_language(value: str | None, field: str = "language") -> str | None:
    """The code of what was typed (`en`, `EN`, `en-US`, `English`), or None for "detect it" (`auto`, empty, None).

    Raises ValueError that names `field` and lists near matches.
    """
    typed = (value or "").strip().lower().replace("_", "-")
    if typed in AUTOMATIC:
        return None
    for candidate in (typed, typed.split("-")[0]):
        if candidate in LANGUAGES:
            return candidate
        if candidate in _CODES:
            return _CODES[candidate]
    raise ValueError(_refusal(str(value), typed, field))


def language_name(code: str) -> str:
    """The English name, capitalised; the code itself when it is unknown."""
    return LANGUAGES.get(code, code).title() if code in LANGUAGES else code


def _refusal(value: str, typed: str, field: str) -> str:
    near = get_close_matches(typed, [*LANGUAGES, *_CODES], n=3, cutoff=0.6)
    names = [f"{match!r}" if match in LANGUAGES else f"{match!r} ({_CODES[match]})" for match in near]
    advice = f"did you mean {' or '.join(names)}?" if names else "say a code such as 'en', a name such as 'german'"
    return f"{field}: {value!r} is no language that any engine here knows; {advice} ('auto' detects it)"
