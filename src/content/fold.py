#!/usr/bin/env python3
"""Writes fold.tsv, the table by which text is folded before it is matched. Run it when a source changes.

usage: fold.py TSCharacters.txt confusables.txt > fold.tsv

TSCharacters.txt is OpenCC's (https://github.com/BYVoid/OpenCC, data/dictionary, Apache-2.0); confusables.txt is Unicode's
(https://www.unicode.org/Public/security/latest/confusables.txt, Unicode-3.0); NFKC comes from Python's unicodedata.
"""
import sys
import unicodedata

HEADER = """\
# How a character is folded for matching: target, TAB, the characters that become it. Sections say why.
# Written by fold.py from: Unicode %s NFKC and UTS #39 confusables (Unicode-3.0);
# OpenCC TSCharacters (Apache-2.0, https://github.com/BYVoid/OpenCC).
"""

# Digits in black and sans-serif circles have no compatibility decomposition.
CIRCLED = [(0x2776, 1), (0x2780, 1), (0x278A, 1), (0x24F5, 1)]
# Punctuation that is told apart by nobody when it stands between words.
PUNCTUATION = {",": "，、﹑､", "-": "–—―−﹣‐‑‒", "~": "～〜∼", '"': "“”„‟«»＂「」『』", "'": "‘’‚‛`´′", "*": "×✕✖∗"}
# Written with both forms in simplified text, so that folding them would make two words one.
KEPT = set("乾瞭藉徵於祇覆麼")


def is_han(c):
    return "\u3400" <= c <= "\u9fff" or "\U00020000" <= c <= "\U0003ffff"


def skipped(c):
    """What is left alone: controls, spaces, surrogates, private use, and scripts that have no part in this."""
    code = ord(c)
    if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp", "Mn", "Me", "Mc"):
        return True
    return 0x0600 <= code <= 0x1CFF or 0xFB1D <= code <= 0xFDFF or 0xFE70 <= code <= 0xFEFF or 0x1100 <= code <= 0x11FF \
        or 0x3130 <= code <= 0x318F or 0xAC00 <= code <= 0xD7FF or 0xFFA0 <= code <= 0xFFDC or 0x1EE00 <= code <= 0x1EEFF


def plain(text):
    """Compatibility forms and accents off, small letters."""
    out = unicodedata.normalize("NFKD", text)
    out = "".join(c for c in out if unicodedata.category(c) not in ("Mn", "Me", "Cf"))
    return unicodedata.normalize("NFKC", out).casefold()


def step(c, traditional, confusable, punctuation):
    """What a character becomes, and by which section. Not yet for good: the outcome may fold further."""
    if c.isascii():
        return c.lower(), "width"
    if c in punctuation:
        return punctuation[c], "punctuation"
    folded, why = c, "width"
    if not skipped(c):
        folded = "".join(plain(c).split())
    if not folded.isascii() and c in confusable:
        folded, why = confusable[c], "confusable"
        if unicodedata.name(c, "").split(" ")[-1] in ("IOTA", "I"):
            folded = "i"
    if any(skipped(one) for one in folded):
        return c, "width"
    simple = "".join(traditional.get(one, one) for one in folded)
    return simple, "traditional" if simple != folded else why


def main():
    traditional = {}
    for line in open(sys.argv[1], encoding="utf-8"):
        if "\t" not in line or line.startswith("#"):
            continue
        source, targets = line.rstrip("\n").split("\t")
        target = targets.split(" ")[0]
        if source != target and source not in KEPT and ord(target) < 0x10000:
            traditional[source] = target
    confusable = {}
    for line in open(sys.argv[2], encoding="utf-8-sig"):
        fields = line.split("#")[0].split(";")
        if len(fields) < 3:
            continue
        source = "".join(chr(int(code, 16)) for code in fields[0].split())
        target = "".join(chr(int(code, 16)) for code in fields[1].split())
        if len(source) == 1 and not source.isascii() and target.isascii() and target.isalnum() and source.isalpha():
            if not is_han(source) and not "\u3000" <= source <= "\u31ff":
                confusable[source] = target.casefold()
    punctuation = {source: target for target, sources in PUNCTUATION.items() for source in sources}
    for first, number in CIRCLED:
        for offset in range(10):
            confusable[chr(first + offset)] = str(number + offset)

    forms = {}
    for code in range(0x80, 0x30000):
        c = chr(code)
        folded, why = step(c, traditional, confusable, punctuation)
        while (again := "".join(step(one, traditional, confusable, punctuation)[0] for one in folded)) != folded:
            folded = again
        if folded and folded != c and len(folded) <= 8:
            forms[c] = folded, why
    sections = {"width": {}, "traditional": {}, "confusable": {}, "punctuation": {}}
    for c, (folded, why) in forms.items():
        sections[why].setdefault(folded, []).append(c)
    print(HEADER % unicodedata.unidata_version, end="")
    for name, rows in sections.items():
        print(f"[{name}]")
        for target, sources in sorted(rows.items()):
            print(f"{target}\t{''.join(sources)}")


main()
