"""contents.json and roster.json: the plaintexts of sealed fields, and what a completed keygen comes to."""

from __future__ import annotations

import json
from hashlib import scrypt
from types import EllipsisType
from typing import Any

from keymeld_protocol.bitcoin.children import CHAIN_CODE, path_told
from keymeld_protocol.bitcoin.summary import Summary
from keymeld_protocol.bitcoin.transaction import taproot_address
from keymeld_protocol.bitcoin.tweaks import tweaked
from keymeld_protocol.curve.keyagg import bip86_tweak
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.member.plan import plan
from keymeld_protocol.member.roster import read_card
from keymeld_protocol.member.roster_digits import BLOCK, COST, SALT, roster_digits
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.body import (
    Adaptor,
    BareRoot,
    Bip86,
    Body,
    Child,
    Scalar,
    SignEcdsa,
    SignMessage,
    TermsStep,
    XOnlyScalar,
)
from keymeld_protocol.plaintext.contents import Card, Content, Detail, Leaf, Script, Terms
from keymeld_protocol.plaintext.policy import AllowedOutput, AllowedScript, Policy, policy_commitment
from keymeld_protocol.values import Hash, Message, PlainKey, Salt, Signature
from keymeld_protocol.wire.shapes import Rule
from keymeld_protocol.wording import slots_told

from . import cast
from .cast import commented
from .story import bodies, policy_of, tell
from .wire_notes import forget_note, session_note

POINTS = tuple(PlainKey(cast.key_of(f"adaptor point {i}").point) for i in range(3))
ROOT, HELLO = Hash(cast.secret_of("a scalar or a root")), Message(cast.secret_of("hello"))


def contents_json() -> Any:
    """Every shape in its one spelling, and texts that are refused."""
    return commented(
        "Plaintexts of sealed fields: canonical JSON in UTF-8. 'text' is the one spelling; refused texts name reason "
        "and field. Policies carry their commitment TH('keymeld/policy/v1', text).",
        contents=_good(), refused=[commented(why, shape=s, text=t, reason=r, field=f) for why, s, t, r, f in _bad()],
    )  # fmt: skip


def _good() -> list[dict[str, Any]]:
    story = tell()
    simple, full = bodies(story.roster)
    odd = 'quote " backslash \\ tab \t line \n bell \x07 slash / euro € clef 𝄞 bidi \u202e end'
    shown: list[tuple[str, Content]] = [
        ("terms", story.roster.terms),
        ("terms with a label that needs escapes", Terms(v=1, label=odd[:64], network="bitcoin", tweak="none")),
        ("an empty label", Terms(v=1, label="", network="signet", tweak="bip86")),
        ("a card", story.roster.cards[0]),
        ("a card whose label is not ASCII", story.roster.cards[2]),
        ("a body with one message", simple),
        ("a body with a transaction, two items and a memo", full),
        ("terms with a script tree, leaf by leaf", cast_tree()),
        ("terms with a bare root: opaque", Terms(v=1, label="", network="regtest", tweak="root", root=ROOT)),
        (
            "a policy with every yes",
            Policy(
                v=1,
                salt=Salt(cast.secret_of("policy salt yes")),
                rule=Rule(approval="self"),
                alone=True,
                alone_blind=True,
                accept_opaque_tweak=True,
            ),
        ),
        (
            "a policy with every limit",
            Policy(
                v=1,
                salt=Salt(cast.secret_of("policy salt limits")),
                rule=Rule(approval="quorum", threshold=2, of=(0, 1, 2)),
                requesters=(0, 2),
                subsets=(0,),
                no_blind=True,
                outputs=(
                    AllowedOutput(script=AllowedScript(b"\x51\x20" + cast.key_of("landlord").point[1:])),
                    AllowedOutput(script=AllowedScript(b"\x00\x14" + bytes(20)), most=50_000_000),
                ),
                max_amount=100_000_000,
                max_fee=20_000,
            ),
        ),
        (
            "a policy that serves no subset",
            Policy(v=1, salt=Salt(cast.secret_of("policy salt no subset")), rule=Rule(approval="self"), subsets=()),
        ),
        (
            "a body with every step of a tweak list, and with an empty one",
            Body(
                v=1,
                transactions=(),
                memo="",
                items=(
                    SignMessage(message=HELLO, tweaks=(Child(path=(0, 7)), TermsStep())),
                    SignMessage(message=HELLO, subset=0, tweaks=(Bip86(),)),
                    SignMessage(message=HELLO, tweaks=(Scalar(scalar=ROOT), XOnlyScalar(scalar=ROOT))),
                    SignMessage(message=HELLO, tweaks=(BareRoot(root=ROOT),)),
                    SignMessage(message=HELLO, tweaks=()),
                ),
            ),
        ),
        (
            "scalars by which no key can be tweaked: the body holds, and each item fails alone (bad_tweak)",
            Body(
                v=1,
                transactions=(),
                memo="",
                items=(
                    SignMessage(message=HELLO, tweaks=(Scalar(scalar=Hash(bytes(32))),)),
                    SignMessage(message=HELLO, tweaks=(XOnlyScalar(scalar=Hash(b"\xff" * 32)),)),
                ),
            ),
        ),
        (
            "a body with every mode of an adaptor",
            Body(
                v=1,
                transactions=(),
                memo="",
                items=(
                    SignMessage(message=HELLO, adaptor=Adaptor(mode="single", points=POINTS[:1])),
                    SignMessage(message=HELLO, tweaks=(), adaptor=Adaptor(mode="and", points=POINTS[:2])),
                    SignMessage(message=HELLO, subset=0, adaptor=Adaptor(mode="or", points=POINTS)),
                ),
            ),
        ),
        (
            "a body that asks for ECDSA",
            Body(v=1, transactions=(), items=(SignEcdsa(message=HELLO, subset=0),), memo=""),
        ),
        ("a detail", Detail(v=1, message="the envelope does not open")),
        ("a detail with every kind of escape", Detail(v=1, message=odd)),
        ("a note of a session", session_note("some keygen")),
        ("a note of a session at an address in brackets", session_note("some keygen", "ws://[::1]:8765")),
        ("a note that a session is to be forgotten", forget_note("some keygen")),
    ]
    made = [commented(why, shape=type(one).__name__, text=contents.encode(one).decode()) for why, one in shown]
    for slot in range(3):
        raw = policy_of(slot)
        made.append(commented(f"a policy of slot {slot}", shape="Policy", text=raw.decode(),
                              commitment=policy_commitment(raw)))  # fmt: skip
    return made


def cast_tree() -> Terms:
    """Three leaves, the first at depth 1."""
    leaves = tuple(Leaf(depth=d, version=0xC0, script=Script(bytes([0x50 + d, 0x87]))) for d in (1, 2, 2))
    return Terms(v=1, label="", network="regtest", tweak="tree", tree=leaves)


def _bad() -> list[tuple[str, str, str, str, str]]:
    """Comment, shape, text, reason, field."""
    terms = contents.encode(Terms(v=1, label="x", network="regtest", tweak="bip86")).decode()
    card = contents.encode(
        Card(v=1, pubkey=PlainKey(cast.key_of("p").point), label="", possession=Signature(bytes(64)))
    ).decode()
    body = contents.encode(bodies(tell().roster)[1]).decode()
    policy = policy_of(1).decode()
    paid = '{"script":"51"}'
    blind = policy[:-1] + ',"alone":true,"alone_blind":true'
    tree = contents.encode(cast_tree()).decode()
    steps = '"tweaks":[{"tweak":"child","path":[0]}]'
    tweaked = contents.encode(Body(v=1, transactions=(), memo="", items=(
        SignMessage(message=HELLO, tweaks=(Child(path=(0,)),)),))).decode()  # fmt: skip
    plain = steps.replace('"child","path":[0]', f'"plain","scalar":"{ROOT.hex()}"')
    locked = contents.encode(Body(v=1, transactions=(), memo="", items=(
        SignMessage(message=HELLO, adaptor=Adaptor(mode="and", points=POINTS[:2])),))).decode()  # fmt: skip
    note = contents.encode(session_note("some keygen")).decode()
    forget = contents.encode(forget_note("some keygen")).decode()
    idle = body.replace('{"sign":"input","transaction":0,"input":0},', "")
    return [
        ("an origin with its port", "SessionNote", note.replace(".example", ".example:443"), "bad_field", "url"),
        ("an origin with a path", "SessionNote", note.replace(".example", ".example/"), "bad_field", "url"),
        ("an origin of the web", "SessionNote", note.replace("wss:", "https:"), "bad_field", "url"),
        ("a note of a kind that nobody knows", "ForgetNote", forget.replace('"forget"', '"forgive"'), "bad_field",
         "note"),
        ("a space", "Terms", terms.replace(":1", ": 1", 1), "bad_field", "terms"),
        ("another order", "Terms", terms.replace('"v":1,"label":"x"', '"label":"x","v":1'), "bad_field", "terms"),
        ("a key twice", "Terms", terms[:-1] + ',"tweak":"bip86"}', "bad_field", "terms"),
        ("a needless escape", "Terms", terms.replace('"x"', '"\\u0078"'), "bad_field", "terms"),
        ("an escaped slash", "Terms", terms.replace('"x"', '"\\/"'), "bad_field", "terms"),
        ("a raw line break", "Terms", terms.replace('"x"', '"\n"'), "bad_json", "terms"),
        ("a long escape where a short one exists", "Terms", terms.replace('"x"', '"\\u000a"'), "bad_field", "terms"),
        ("an unknown field refuses everything", "Terms", terms[:-1] + ',"veto":1}', "bad_field", "veto"),
        ("a missing field", "Terms", terms.replace('"network":"regtest",', ""), "bad_field", "network"),
        ("an unknown network", "Terms", terms.replace("regtest", "testnet5"), "bad_field", "network"),
        ("an unknown tweak never becomes none", "Terms", terms.replace("bip86", "bip99"), "bad_field", "tweak"),
        ("a tree without its word", "Terms", tree.replace('"tweak":"tree"', '"tweak":"none"'), "bad_field", "tree"),
        ("a tree with a leaf too few", "Terms", tree.replace(',{"depth":2,"version":192,"script":"5287"}]', "]"),
         "bad_field", "tree"),
        ("ECDSA takes no tweaks", "Body", tweaked.replace('"message"', '"ecdsa"', 1), "bad_field", "items[0].tweaks"),
        ("a hardened child", "Body", tweaked.replace("[0]}", "[2147483648]}"), "bad_field",
         "items[0].tweaks[0].path[0]"),
        ("a child that is not the first step", "Body", tweaked.replace(steps, steps.replace(
            "[{", '[{"tweak":"bip86"},{')), "bad_field", "items[0].tweaks"),
        ("an unknown step never becomes none", "Body", tweaked.replace('"child"', '"taproot"'), "bad_field",
         "items[0].tweaks[0].tweak"),
        ("tweaks of null", "Body", tweaked.replace(steps, '"tweaks":null'), "bad_field", "body"),
        ("a scalar of 31 bytes", "Body", tweaked.replace(steps, plain.replace(ROOT.hex(), ROOT.hex()[2:])), "bad_field",
         "items[0].tweaks[0].scalar"),
        ("a single adaptor with two points", "Body", locked.replace('"and"', '"single"'), "bad_field",
         "items[0].adaptor.points"),
        ("an and of one point", "Body", locked.replace(f',"{POINTS[1].hex()}"', ""), "bad_field",
         "items[0].adaptor.points"),
        ("a point twice", "Body", locked.replace(POINTS[1].hex(), POINTS[0].hex()), "bad_field",
         "items[0].adaptor.points"),
        ("65 points", "Body", locked.replace('"and"', '"or"').replace(
            f'"{POINTS[0].hex()}"', ",".join(f'"02{i:064x}"' for i in range(64))), "bad_field",
         "items[0].adaptor.points"),
        ("an adaptor of another mode", "Body", locked.replace('"and"', '"xor"'), "bad_field", "items[0].adaptor.mode"),
        ("an x-only point", "Body", locked.replace(POINTS[0].hex(), POINTS[0].hex()[2:]), "bad_field",
         "items[0].adaptor.points[0]"),
        ("an adaptor of null", "Body", tweaked.replace(steps, '"adaptor":null'), "bad_field", "body"),
        ("false where absent is the spelling", "Policy", policy[:-1] + ',"alone":false}', "bad_field", "policy"),
        ("blind alone without alone", "Policy", policy[:-1] + ',"alone_blind":true}', "bad_field", "alone_blind"),
        ("blind alone under a transaction rule", "Policy", blind + ',"max_fee":1}', "bad_field", "alone_blind"),
        ("blind alone and no blind", "Policy", blind + ',"no_blind":true}', "bad_field", "alone_blind"),
        ("requesters that fall", "Policy", policy[:-1] + ',"requesters":[1,0]}', "bad_field", "requesters"),
        ("nobody may ask", "Policy", policy[:-1] + ',"requesters":[]}', "bad_field", "requesters"),
        ("a subset twice", "Policy", policy[:-1] + ',"subsets":[0,0]}', "bad_field", "subsets"),
        ("nothing may be paid", "Policy", policy[:-1] + ',"outputs":[]}', "bad_field", "outputs"),
        ("a script twice", "Policy", policy[:-1] + f',"outputs":[{paid},{paid}]}}', "bad_field", "outputs"),
        ("an empty script", "Policy", policy[:-1] + ',"outputs":[{"script":""}]}', "bad_field", "outputs"),
        ("an amount of null", "Policy", policy[:-1] + ',"max_amount":null}', "bad_field", "policy"),
        ("a limit of the future", "Policy", policy[:-1] + ',"max_a_day":1}', "bad_field", "max_a_day"),
        ("a label of 65 characters", "Terms", terms.replace('"x"', f'"{"x" * 65}"'), "bad_field", "label"),
        ("version 2", "Terms", terms.replace('"v":1', '"v":2'), "unknown_version", "v"),
        ("version 2 with a field that is new", "Terms", terms.replace('"v":1', '"v":2,"leaves":[]'), "unknown_version",
         "v"),
        ("version 2 with a field of another type", "Body", body.replace('"v":1', '"v":2').replace(
            '"memo":"', '"memo":["')[:-1] + "]}", "unknown_version", "v"),
        ("version 2 behind a field of another type", "Terms", terms.replace('"v":1,"label":"x"', '"label":7,"v":2'),
         "unknown_version", "v"),
        ("version 2 of what is no JSON", "Terms", terms.replace('"v":1', '"v":2').replace('"x"', "]"), "bad_json",
         "terms"),
        ("the version as 1.0: another spelling", "Terms", terms.replace('"v":1', '"v":1.0'), "bad_field", "v"),
        ("not JSON", "Terms", "terms", "bad_json", "terms"),
        ("an x-only key where a plain key is due", "Card", card.replace('"pubkey":"02', '"pubkey":"', 1).replace(
            '"pubkey":"03', '"pubkey":"', 1), "bad_field", "pubkey"),
        ("an unknown field in a rule", "Policy", policy.replace('"self"', '"self","veto":1'), "bad_field", "rule.veto"),
        ("self with a threshold", "Policy", policy.replace('"self"', '"self","threshold":1'), "bad_field",
         "rule.threshold"),
        ("no items", "Body", body.partition('"items":[')[0] + '"items":[],"memo":""}', "bad_field", "items"),
        ("a transaction that no item signs", "Body", idle, "bad_field", "transactions[0]"),
        ("an input that is not there", "Body", body.replace('"input":0', '"input":1'), "bad_field", "items[0].input"),
        ("a transaction that is not there", "Body", body.replace('"transaction":0', '"transaction":1'), "bad_field",
         "items[0].transaction"),
        ("an unknown sort of item", "Body", body.replace('"sign":"message"', '"sign":"hash"'), "bad_field",
         "items[1].sign"),
        ("more than 21 million BTC", "Body", body.replace("100000000", "2100000000000001"), "bad_field",
         "transactions[0].spent[0].amount"),
    ]  # fmt: skip


# roster.json ----------------------------------------------------------------------------------------------------


def roster_json() -> Any:
    """From joins and cards to the roster hash, the aggregate keys, the addresses and the messages to sign."""
    story, group = tell(), GroupKey(cast.GROUP_SECRET, cast.SALT)
    state = story.keygen.state
    assert isinstance(state, KeygenState)
    seats = [seat for seat in state.seats if seat is not None]
    return commented(
        "roster = TH('keymeld/roster/v1', keygen_id || id(join 0) || ...). Each key list is sorted (KeySort) and "
        "aggregated (BIP-327 KeyAgg); with tweak bip86 the output key is the aggregate, tweaked as in BIP-86. "
        "digits: scrypt(roster, 'keymeld/roster-digits/v1', N = 32768, r = 8, p = 1, 16 bytes), 100 bits of it.",
        keygen_id=story.keygen.stream, joins=[seat.id for seat in seats], roster=story.roster.hash,
        cards=[json.loads(contents.encode(read_card(story.keygen, group, slot))) for slot in range(3)],
        auth_keys=[seat.join.by for seat in seats], digits=_digits(story.roster.hash),
        key_lists=[_key_list("all slots", None), _key_list("subset 0", 0)],
        children=[_child(subset, path) for subset in (None, 0, ...) for path in ((0, 7), (1, 19))],
        plans=[_planned(number) for number in range(2)], quorum_rules=_rules(),
    )  # fmt: skip


def _digits(roster: Hash) -> list[dict[str, Any]]:
    """What people read to one another."""
    nearly = Hash(roster[:-1] + bytes([roster[-1] ^ 1]))
    named = (("the roster", roster), ("its last bit altered", nearly), ("32 zero bytes", Hash(bytes(32))))
    return [
        commented(comment, roster=each, scrypt=scrypt(each, salt=SALT, n=COST, r=BLOCK, p=1, maxmem=2**26, dklen=16),
                  digits=roster_digits(each))
        for comment, each in named
    ]  # fmt: skip


def _key_list(comment: str, subset: int | None) -> dict[str, Any]:
    roster = tell().roster
    keyagg = roster.keyagg(subset)
    networks = ("bitcoin", "testnet", "signet", "regtest")
    return commented(
        comment, slots=roster.slots_of(subset), sorted_keys=keyagg.keys, aggregate=keyagg.aggregate,
        tweak=bip86_tweak(keyagg.keys).value, output=keyagg.output, script=roster.script(subset),
        addresses={network: taproot_address(keyagg.output, network) for network in networks},  # type: ignore[arg-type]
    )  # fmt: skip


def _child(subset: int | EllipsisType | None, path: tuple[int, ...]) -> dict[str, Any]:
    """A child of a key list with the terms' tweak after it; ``...`` is the key list of slot 0 alone."""
    roster = tell().roster
    slots = (0,) if isinstance(subset, EllipsisType) else roster.slots_of(subset)
    keys = tuple(roster.cards[slot].pubkey for slot in slots)
    made = tweaked(keys, roster.terms, (Child(path=path), TermsStep()))
    alone = ": that key itself, under the same chain code" if len(slots) == 1 else ""
    return commented(
        f"child {path_told(path)} of the key list of {slots_told(slots)}{alone}; then the tweak of the terms",
        slots=slots, path=path, chain_code=CHAIN_CODE, output=made.output,
    )  # fmt: skip


def _planned(number: int) -> dict[str, Any]:
    """What everybody computes from a body."""
    roster = tell().roster
    made = plan(bodies(roster)[number], roster)
    summaries: list[Summary] = [spend.summary(roster.terms.network, [roster.script()]) for spend in made.spends]
    return commented(
        "a body and the items that it comes to: slots of the key list, its output key, and the 32 bytes to sign",
        body=contents.encode(made.body).decode(),
        items=[{"slots": list(i.slots), "output": i.keyagg.output.hex(), "message": i.message.hex()}
               for i in map(made.item, range(len(made.items)))],
        fees=[summary.fee for summary in summaries], leaving=[summary.spent for summary in summaries],
    )  # fmt: skip


def _rules() -> list[dict[str, Any]]:
    """Who counts: a rule of a slot, the key list, who asked and who said what; met, waiting or hopeless.

    ``at`` is the time (ms) for which the rule is evaluated; ``approved`` has the end of each slot's yes, ``heard`` when
    the delay of a slot began.
    """
    quorum = {"approval": "quorum", "threshold": 2, "of": [0, 1, 2]}
    none, own = {"approval": "none"}, {"approval": "self"}
    cases: list[tuple[str, dict[str, Any], int, list[int], int, list[int], list[int], str]] = [
        ("none: the request is enough", none, 2, [0, 1, 2], 0, [0], [], "met"),
        ("none: the requester's slot must be in the key list", none, 1, [1, 2], 0, [0], [], "hopeless"),
        ("none: the requester took his yes back", none, 2, [0, 1, 2], 0, [0], [0], "hopeless"),
        ("self: not said yet", own, 2, [0, 1, 2], 0, [0], [], "waiting"),
        ("self: said", own, 2, [0, 1, 2], 0, [0, 2], [], "met"),
        ("self: refused", own, 2, [0, 1, 2], 0, [0], [2], "hopeless"),
        ("self: a request is its requester's approval", own, 0, [0, 1, 2], 0, [0], [], "met"),
        ("quorum: one of two", quorum, 2, [0, 1, 2], 0, [0], [], "waiting"),
        ("quorum: two of two", quorum, 2, [0, 1, 2], 0, [0, 1], [], "met"),
        ("quorum: a no leaves enough others", quorum, 2, [0, 1, 2], 0, [0], [1], "waiting"),
        ("quorum: too many said no", quorum, 2, [0, 1, 2], 0, [0], [1, 2], "hopeless"),
        ("quorum: slots outside the key list do not count", quorum, 0, [0], 0, [0, 1, 2], [], "hopeless"),
        (
            "none without a delay: another slot's no, and the own one, move nothing",
            none,
            2,
            [0, 1, 2],
            0,
            [0],
            [1, 2],
            "met",
        ),
    ]
    late = {"approval": "none", "delay_ms": 3}
    edges: list[tuple[str, dict[str, Any], int, str]] = [
        ("a yes counts until its end", own | {}, 9, "met"),
        ("a yes whose end it is counts no longer", own | {}, 10, "waiting"),
        ("not_before belongs to the window", none | {"not_before": 5}, 5, "met"),
        ("before not_before", none | {"not_before": 5}, 4, "waiting"),
        ("not_after belongs to the window", none | {"not_after": 5}, 5, "met"),
        ("after not_after", none | {"not_after": 5}, 6, "hopeless"),
    ]
    timed: list[tuple[str, dict[str, Any], dict[str, int], list[int], str]] = [
        ("a delay that has not begun", late, {}, [], "waiting"),
        ("a delay that is not over", late, {"2": 3}, [], "waiting"),
        ("a delay that is over", late, {"2": 2}, [], "met"),
        ("a delay that has not begun, in a window that ends", late | {"not_after": 6}, {}, [], "waiting"),
        ("a delay that has not begun, after its window", late | {"not_after": 4}, {}, [], "hopeless"),
        ("another slot's delay", late, {"1": 2}, [], "waiting"),
        ("none with a delay: the slot's own no", late, {"2": 2}, [2], "hopeless"),
        ("none with a delay: another slot's no", late, {"2": 2}, [1], "met"),
        ("a delay that outlives its window", late | {"not_after": 6}, {"2": 4}, [], "hopeless"),
        ("a window that opens after the delay", late | {"not_before": 6}, {"2": 1}, [], "waiting"),
        ("self with a delay: over, and not said", late | {"approval": "self"}, {"2": 2}, [], "waiting"),
    ]
    found = [
        _judged_rule(why, rule, slot, key_list, requester, approved, {}, rejected, 5, verdict)
        for why, rule, slot, key_list, requester, approved, rejected, verdict in cases
    ]
    for why, rule, heard, no, verdict in timed:
        found.append(_judged_rule(why, rule, 2, [0, 1, 2], 0, [0], heard, no, 5, verdict))
    for why, rule, at, verdict in edges:
        found.append(_judged_rule(why, rule, 2, [0, 1, 2], 0, [0, 2], {}, [], at, verdict))
    return found


def _judged_rule(
    why: str, rule: dict[str, Any], slot: int, key_list: list[int], requester: int, approved: list[int],
    heard: dict[str, int], rejected: list[int], at: int, verdict: str,
) -> dict[str, Any]:  # fmt: skip
    """One case; every yes ends at 10, the requester's at 100, when the request expires."""
    ends = {str(each): 100 if each == requester else 10 for each in approved}
    return commented(why, at=at, rule=rule, slot=slot, key_list=key_list, requester=requester, approved=ends,
                     rejected=rejected, heard=heard, verdict=verdict)  # fmt: skip
