"""Payloads that every reader must refuse, each with the reason and the field that an error names (attack 47)."""

from __future__ import annotations

from collections.abc import Mapping

from keymeld_protocol.wire.statements import Statement

Case = tuple[str, str, str, str]


def bad_payloads(every: Mapping[str, Statement]) -> list[Case]:
    """Comment, payload, reason, field."""
    return [*_spellings(every), *_values(every), *_rules(every)]


def _spellings(every: Mapping[str, Statement]) -> list[Case]:
    """One text is allowed for one meaning; here are the others."""
    good = every["signing.retry"].text
    by = every["signing.retry"].payload.by.hex()
    end, note = good[:-1], every["note.thanks"].text
    return [
        ("no text", "", "bad_json", "payload"),
        ("not JSON", good[:-1], "bad_json", "payload"),
        ("not an object", f"[{good}]", "bad_field", "payload"),
        ("a space at the end", good + " ", "bad_field", "payload"),
        ("a space at the beginning", " " + good, "bad_field", "payload"),
        ("a space after a colon", good.replace('"v":1', '"v": 1'), "bad_field", "payload"),
        ("a line break at the end", good + "\n", "bad_field", "payload"),
        ("two objects", good + good, "bad_json", "payload"),
        ("a key twice, equal values", end + ',"attempt":1}', "bad_field", "payload"),
        ("a key twice, other values", end + ',"attempt":2}', "bad_field", "payload"),
        ("an escape in a key", good.replace('"attempt"', '"\\u0061ttempt"'), "bad_field", "payload"),
        ("an escape in a value", good.replace('"signing.', '"signin\\u0067.'), "bad_field", "payload"),
        ("an escaped slash", good.replace(f'"{by}"', f'"{by}\\/"'), "bad_field", "by"),
        ("a character outside ASCII", good.replace("signing", "sıgning"), "bad_field", "payload"),
        ("DEL, which is not printable", good.replace("signing", "sign\x7fing"), "bad_field", "payload"),
        ("v and by exchanged", good.replace(f'"v":1,"by":"{by}"', f'"by":"{by}","v":1'), "bad_field", "payload"),
        ("kind is not the first field", '{"v":1,' + good[1:].replace(',"v":1', "", 1), "bad_field", "payload"),
        ("an absent field as null", every["signing.approve"].text[:-1] + ',"until":null}', "bad_field", "payload"),
        ("1.0 for 1", good.replace('"attempt":1', '"attempt":1.0'), "bad_field", "attempt"),
        ("1e0 for 1", good.replace('"attempt":1', '"attempt":1e0'), "bad_field", "attempt"),
        ("-0 for 0", every["signing.dispute"].text.replace('"point":0', '"point":-0'), "bad_field", "payload"),
        ("a leading zero", good.replace('"attempt":1', '"attempt":01'), "bad_json", "payload"),
        ("a note with a space before it", " " + note, "bad_field", "payload"),
        (
            "a note whose kind is not the first field",
            '{"v":1,' + note[1:].replace(',"v":1', "", 1),
            "bad_field",
            "payload",
        ),
        ("a byte-order mark", "\ufeff" + good, "bad_field", "payload"),
    ]


def _values(every: Mapping[str, Statement]) -> list[Case]:
    """Fields that are missing, unknown, of another type, length, case or range."""
    good = every["signing.retry"].text
    by = every["signing.retry"].payload.by.hex()
    heard = every["signing.heard"].text
    moment = '"at":' + heard.rpartition(":")[2][:-1]
    return [
        ("upper-case hex", good.replace(by, by.upper()), "bad_field", "by"),
        ("hex that is too short", good.replace(by, by[:-2]), "bad_field", "by"),
        ("hex that is too long", good.replace(by, by + "00"), "bad_field", "by"),
        ("no hex", good.replace(by, "g" + by[1:]), "bad_field", "by"),
        ("a number where hex is due", good.replace(f'"{by}"', "7"), "bad_field", "by"),
        ("a text where a number is due", good.replace('"attempt":1', '"attempt":"1"'), "bad_field", "attempt"),
        ("true where a number is due", good.replace('"attempt":1', '"attempt":true'), "bad_field", "attempt"),
        ("a negative number", good.replace('"attempt":1', '"attempt":-1'), "bad_field", "attempt"),
        ("attempt 0", good.replace('"attempt":1', '"attempt":0'), "bad_field", "attempt"),
        ("attempt 17", good.replace('"attempt":1', '"attempt":17'), "bad_field", "attempt"),
        ("2^53 - 1 is the largest number: 2^53", heard.replace(moment, '"at":9007199254740992'), "bad_field", "at"),
        ("2^53 + 1, which a double rounds", heard.replace(moment, '"at":9007199254740993'), "bad_field", "at"),
        ("a field is missing", good.replace(',"attempt":1', ""), "bad_field", "attempt"),
        ("by is missing", good.replace(f'"by":"{by}",', ""), "bad_field", "by"),
        ("a field that the kind has not", good[:-1] + ',"slot":0}', "bad_field", "slot"),
        ("kind is missing", "{" + good.partition(",")[2], "unknown_kind", "kind"),
        ("an unknown kind", good.replace("signing.retry", "signing.again"), "unknown_kind", "kind"),
        ("a kind in upper case", good.replace("signing.retry", "Signing.retry"), "unknown_kind", "kind"),
        ("a note with an empty name", every["note.thanks"].text.replace("thanks", ""), "unknown_kind", "kind"),
        ("version 2", good.replace('"v":1', '"v":2'), "unknown_version", "v"),
        (
            "version 2 with a field that is new",
            good.replace('"v":1', '"v":2')[:-1] + ',"path":[0]}',
            "unknown_version",
            "v",
        ),
        (
            "version 2 with a field of another type",
            good.replace('"v":1', '"v":2').replace('"attempt":1', '"attempt":[1]'),
            "unknown_version",
            "v",
        ),
        (
            "version 2 behind a field of another type",
            good.replace('"v":1', '"v":2').replace(f'"v":2,"by":"{by}"', '"by":7,"v":2'),
            "unknown_version",
            "v",
        ),
        (
            "version 2 of a note with a field that is new",
            every["note.thanks"].text.replace('"v":1', '"v":2')[:-1] + ',"path":[0]}',
            "unknown_version",
            "v",
        ),
        ("version 2 of what is no JSON", good.replace('"v":1', '"v":2').replace(f'"{by}"', "]"), "bad_json", "payload"),
        ("the version as 1.0: another spelling", good.replace('"v":1', '"v":1.0'), "bad_field", "v"),
        ("version 0", good.replace('"v":1', '"v":0'), "unknown_version", "v"),
        ("the version as text", good.replace('"v":1', '"v":"1"'), "unknown_version", "v"),
    ]


def _rules(every: Mapping[str, Statement]) -> list[Case]:
    """Fields that are well formed and contradict one another."""
    create, join = every["keygen.create"].text, every["keygen.join"].text
    opened, contribute = every["attempt.opened"].text, every["signing.contribute"].text
    invites = create.partition('"slots":[')[2].partition("]")[0]
    first = invites.partition(",")[0]
    enclave = join.partition('"enclave":"')[2][:64]
    over = contribute.partition('"over":"')[2][:64]
    nameless = contribute.replace(f'"over":"{over}",', "")
    none = '"rule":{"approval":"none"}'
    shut = '"rule":{"approval":"none","not_before":2,"not_after":1}'
    return [
        ("no slots", create.replace(invites, ""), "bad_field", "slots"),
        ("an invite key twice", create.replace(invites, f"{first},{first}"), "bad_field", "slots"),
        ("an unknown suite", create.replace("musig2/1", "musig2/2"), "bad_field", "suite"),
        ("a subset that falls", create.replace("[[0,1]]", "[[1,0]]"), "bad_field", "subsets[0]"),
        ("a subset with a slot twice", create.replace("[[0,1]]", "[[0,0]]"), "bad_field", "subsets[0]"),
        ("a subset of a slot that is not", create.replace("[[0,1]]", "[[0,3]]"), "bad_field", "subsets[0]"),
        ("an empty subset", create.replace("[[0,1]]", "[[]]"), "bad_field", "subsets[0]"),
        ("a subset twice", create.replace("[[0,1]]", "[[0,1],[0,1]]"), "bad_field", "subsets"),
        ("device custody with an enclave", join.replace('"sealed"', '"device"'), "bad_field", "enclave"),
        ("sealed custody without one", join.replace(f'"enclave":"{enclave}",', ""), "bad_field", "enclave"),
        ("an unknown custody", join.replace('"sealed"', '"shared"'), "bad_field", "custody"),
        ("self with a threshold", join.replace(none, '"rule":{"approval":"self","threshold":1}'), "bad_field",
         "rule.threshold"),
        ("quorum without slots", join.replace(none, '"rule":{"approval":"quorum","threshold":1}'), "bad_field",
         "rule.threshold"),
        ("3 of 2 slots", join.replace(none, '"rule":{"approval":"quorum","threshold":3,"of":[0,1]}'), "bad_field",
         "rule.threshold"),
        ("a quorum that falls", join.replace(none, '"rule":{"approval":"quorum","threshold":1,"of":[1,0]}'),
         "bad_field", "rule.of"),
        ("a window that closes before it opens", join.replace(none, shut), "bad_field", "rule.not_before"),
        ("a delay that outlives every request", join.replace(none, '"rule":{"approval":"none","delay_ms":518400001}'),
         "bad_field", "rule.delay_ms"),
        ("a rule that nobody knows", join.replace(none, '"rule":{"approval":"none","veto":true}'), "bad_field",
         "rule.veto"),
        ("by is also the enclave", join.replace(enclave, every["keygen.join"].payload.by.hex()), "bad_field", "by"),
        ("psigs that do not name their nonces", nameless, "bad_field", "over"),
        ("nonces that answer nonces", contribute.replace('"both"', '"nonces"'), "bad_field", "over"),
        ("an unknown step", contribute.replace('"both"', '"psig"'), "bad_field", "step"),
        ("one slot with two signers", opened.replace('"slots":[2]', '"slots":[1]'), "bad_field", "signers"),
        ("the last one is no signer", f'{opened[:-66]}{"ab" * 32}"}}', "bad_field", "last"),
        ("a grace of 499 ms", every["signing.request"].text.replace('"grace_ms":3000', '"grace_ms":499'), "bad_field",
         "grace_ms"),
        ("a code in upper case", every["keygen.release"].text.replace("released", "Released"), "bad_field", "code"),
    ]  # fmt: skip
