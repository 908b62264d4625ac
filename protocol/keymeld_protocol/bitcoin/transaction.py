"""Bitcoin transactions: what is signed, what a person reads before saying yes, and what the network accepts.

    unsigned transaction ─┐             ┌─► sighash(input)        32 bytes: the item's message (BIP-341)
                          ├─► Spend ────┼─► summary(network, own) amounts, addresses, change, fee
    one output per input ─┘             └─► finalize(signatures)  the transaction with its witnesses

Everything comes from this one triple (transaction, spent outputs, input), so that nobody can be shown one payment and
sign another. BIP-341 hashes the amounts and scripts of all spent outputs: one that was misreported spoils the
signature instead of hiding a fee. Only taproot's key path is signed, with SIGHASH_DEFAULT and no annex. For a single
key's P2WPKH coins there are `Spend.key_hash_sighash` (BIP-143), which a group signs blindly, and their witness: BIP-143
hashes the amount of its own input alone, so a fee can be hidden from whoever signs several.

Parsing, hashing and addresses are btclib's. No other file but psbt.py may import it, and it never sees a secret: its
curve arithmetic takes varying time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from btclib.exceptions import BTClibException
from btclib.hashes import hash160, hash256
from btclib.script import Witness, script_pub_key, sig_hash
from btclib.tx import Tx, TxOut

from ..curve import ecdsa, schnorr
from ..errors import bad_field
from ..plaintext.body import MAX_MONEY
from ..plaintext.contents import Network
from ..values import Message
from .summary import Coin, Summary

MAX_UNSIGNED: Final = 100_000
"""Bytes of an unsigned transaction: a larger one weighs over 400,000 units, and no node relays it."""

MAX_SCRIPT: Final = 10_000
"""Bytes of the script of a spent output: a longer one can never be spent."""

_NETWORKS: Final = {"bitcoin": "mainnet", "testnet": "testnet", "signet": "signet", "regtest": "regtest"}
_FINAL: Final = 0xFFFFFFFF
_SEGWIT: Final = b"\x00\x01"
"""Marker and flag: after the version of a transaction, whose witnesses stand before its lock time (BIP-144)."""


class Output(NamedTuple):
    """An output, spent or to be made: ``amount`` in satoshi and the scriptPubKey that guards it."""

    amount: int
    script: bytes


class Spend:
    """A transaction to be signed, with the outputs it spends: parsed, judged and hashed once, then only read.

    ``inputs`` are the spent outputs in the order of the inputs, ``outputs`` the new ones, ``fee`` their difference in
    satoshi, ``txid`` the name (hex) under which nodes will know it, unless somebody else's input needs a scriptSig.
    """

    def __init__(self, unsigned: bytes, spent: Sequence[tuple[int, bytes]], field: str = "transaction") -> None:
        """Judge the pair; ``field`` says where it stood in the message, for errors.

        Raises:
            BadInput: not one whole unsigned transaction within the limits, not one spent output per input, an amount
                outside 0…21 million BTC, or outputs worth more than inputs.
        """
        self.unsigned: Final = bytes(unsigned)
        self._tx: Final = _parse(self.unsigned, f"{field}.unsigned")
        self.inputs: Final = _judge(spent, len(self._tx.vin), f"{field}.spent")
        self.outputs: Final = tuple(Output(out.value, out.script_pub_key.script) for out in self._tx.vout)
        self.fee: Final = _worth(self.inputs) - _worth(self.outputs)
        if self.fee < 0:
            raise bad_field(f"{field}.spent", "is worth less than the outputs")
        self.txid: Final = hash256(self.unsigned)[::-1].hex()
        self._spent: Final = [TxOut(*spent, check_validity=False) for spent in self.inputs]
        self._common: Final = sig_hash.PrecomputedTxData(self._tx, self._spent)
        self._field: Final = field

    def sighash(self, index: int) -> Message:
        """Hash what a key-path signature for input ``index`` signs (BIP-341, SIGHASH_DEFAULT, no annex): 32 bytes.

        Raises:
            BadInput: there is no such input, or it spends something other than taproot.
        """
        self._output_key(index)
        return Message(
            sig_hash.taproot(self._tx, index, self._spent, sig_hash.DEFAULT, 0, b"", b"", precomputed=self._common)
        )

    def summary(self, network: Network, own: Collection[bytes], change: Collection[bytes] | None = None) -> Summary:
        """Say who gets what; ``own`` are the group's scripts, computed from its keys and never taken from a request.

        An output to one of ``change`` (None: of ``own``) comes back to the group; any other is paid out.

        Raises:
            BadInput: an unknown network.
        """
        known = frozenset(own)
        back = known if change is None else frozenset(change)
        scripts = {output.script for output in (*self.inputs, *self.outputs)}
        addresses = {script: address_of(script, network) for script in scripts}

        def coins(outputs: Iterable[Output], ours: frozenset[bytes]) -> tuple[Coin, ...]:
            return tuple(Coin(amount, script, addresses[script], script in ours) for amount, script in outputs)

        locked = any(tx_in.sequence != _FINAL for tx_in in self._tx.vin)
        return Summary(coins(self.inputs, known), coins(self.outputs, back), self._tx.lock_time if locked else 0)

    def key_hash_sighash(self, index: int) -> Message:
        """Hash what an ECDSA signature for input ``index`` signs (BIP-143, SIGHASH_ALL): 32 bytes.

        Raises:
            BadInput: there is no such input, or it spends something other than P2WPKH.
        """
        amount, script = self._input(index)
        if not script_pub_key.is_p2wpkh(script):
            raise bad_field(f"{self._field}.spent[{index}].script", "must be P2WPKH to be signed with ECDSA")
        code = b"\x76\xa9\x14" + script[2:] + b"\x88\xac"
        return Message(sig_hash.segwit_v0(code, self._tx, index, sig_hash.ALL, amount, self._common))

    def finalize(self, signatures: Mapping[int, bytes], keys: Mapping[int, bytes] | None = None) -> bytes:
        """Serialize the transaction with one signature (64 bytes) as the witness of each input named.

        It is a key-path signature; or ECDSA for an input whose plain key (33 bytes) is among ``keys``: P2WPKH. Inputs
        that are not named keep an empty witness: they are somebody else's to sign.

        Raises:
            BadInput: no such input, an output of another kind, or a signature that does not verify under its key.
        """
        stacks: dict[int, list[bytes]] = {}
        for index, signature in signatures.items():
            key = (keys or {}).get(index)
            stacks[index] = self._key_path(index, signature) if key is None else self._key_hash(index, signature, key)
        if not stacks:
            return self.unsigned
        witnesses = (Witness(stacks.get(index)).serialize() for index in range(len(self.inputs)))
        return b"".join((self.unsigned[:4], _SEGWIT, self.unsigned[4:-4], *witnesses, self.unsigned[-4:]))

    def _key_path(self, index: int, signature: bytes) -> list[bytes]:
        """The witness of a key-path spend."""
        if not schnorr.verify(signature, self.sighash(index), self._output_key(index)):
            raise bad_field(f"signatures[{index}]", "does not verify under the key of the output it spends")
        return [bytes(signature)]

    def _key_hash(self, index: int, signature: bytes, key: bytes) -> list[bytes]:
        """The witness of a P2WPKH spend: the signature in DER with its sighash type, and the key."""
        message = self.key_hash_sighash(index)
        if self.inputs[index].script != key_hash_script(key) or not ecdsa.verify(signature, message, key):
            raise bad_field(f"signatures[{index}]", "does not verify under the key of the output it spends")
        return [ecdsa.der(signature) + b"\x01", key]

    def _output_key(self, index: int) -> bytes:
        """Give the x-only key (32 bytes) that guards what input ``index`` spends.

        Raises:
            BadInput: there is no such input, or it spends something other than taproot.
        """
        script = self._input(index).script
        if not script_pub_key.is_p2tr(script):
            raise bad_field(f"{self._field}.spent[{index}].script", "must be taproot to be signed")
        return script[2:]

    def _input(self, index: int) -> Output:
        """What input ``index`` spends.

        Raises:
            BadInput: there is no such input.
        """
        if not 0 <= index < len(self.inputs):
            raise bad_field("input", "the transaction has no such input")
        return self.inputs[index]


def taproot_script(output_key: bytes) -> bytes:
    """Give the scriptPubKey (34 bytes) that x-only ``output_key`` (32 bytes, already tweaked) guards.

    Raises:
        BadInput: the key is not 32 bytes.
    """
    if len(output_key) != 32:
        raise bad_field("output_key", "must be 32 bytes")
    return b"\x51\x20" + output_key


def key_hash_script(key: bytes) -> bytes:
    """Give the scriptPubKey (22 bytes) that a plain ``key`` (33 bytes) guards with ECDSA: P2WPKH (BIP-141).

    Raises:
        BadInput: the key is not 33 bytes.
    """
    if len(key) != 33:
        raise bad_field("key", "must be 33 bytes")
    return b"\x00\x14" + hash160(key)


def taproot_address(output_key: bytes, network: Network) -> str:
    """Give the bech32m address (BIP-350) of ``output_key`` (32 bytes, already tweaked).

    Raises:
        BadInput: the key is not 32 bytes, or the network is unknown.
    """
    return address_of(taproot_script(output_key), network)


def address_of(script: bytes, network: Network) -> str:
    """Give the address of ``script``; one without an address is shown itself, and a long one by its SHA-256.

    Raises:
        BadInput: the network is unknown.
    """
    if network not in _NETWORKS:
        raise bad_field("network", f"must be one of {', '.join(_NETWORKS)}")
    if address := script_pub_key.address(script, _NETWORKS[network]):
        return address
    if len(script) > 100:
        return f"script of {len(script):,} bytes, SHA-256 {sha256(script).hexdigest()}"
    return f"script {script.hex() or '(empty: anyone can spend it)'}"


def script_of(address: str, network: Network) -> bytes:
    """Give the scriptPubKey that ``address`` (bech32, bech32m or Base58Check) stands for on ``network``.

    Raises:
        BadInput: no address, one of another network, or an unknown network.
    """
    try:
        script = script_pub_key.ScriptPubKey.from_address(address).script
    except BTClibException:
        raise bad_field("address", "is no Bitcoin address, or has a typing error") from None
    if address_of(script, network) not in (address, address.lower()):
        raise bad_field("address", f"is none of the network {network}")
    return script


def _parse(unsigned: bytes, field: str) -> Tx:
    """Parse one whole unsigned transaction and keep the rules of consensus that need no chain.

    Raises:
        BadInput: naming ``field``. The message quotes nothing: the transaction was sealed.
    """
    if len(unsigned) > MAX_UNSIGNED:
        raise bad_field(field, f"must be at most {MAX_UNSIGNED:,} bytes")
    if unsigned[4:6] == b"\x00\x01":
        raise bad_field(field, "must be unsigned: it has the marker of a witness")
    try:
        tx = Tx.parse_without_witness(unsigned, check_validity=False)
    except BTClibException:
        raise bad_field(field, "must be one whole transaction and nothing else") from None
    if any(tx_in.script_sig for tx_in in tx.vin):
        raise bad_field(field, "must be unsigned: an input has a scriptSig")
    try:
        tx.assert_valid()
    except BTClibException:
        rule = "must have inputs and outputs, spend nothing twice, and pay 0 to 21 million BTC"
        raise bad_field(field, rule) from None
    return tx


def _judge(spent: Sequence[tuple[int, bytes]], inputs: int, field: str) -> tuple[Output, ...]:
    """Check the spent outputs: one per input, each amount and their sum within 0…21 million BTC.

    Raises:
        BadInput: naming the output and its part.
    """
    if len(spent) != inputs:
        raise bad_field(field, "must name exactly one output per input")
    for index, (amount, script) in enumerate(spent):
        if type(amount) is not int or not 0 <= amount <= MAX_MONEY:
            raise bad_field(f"{field}[{index}].amount", f"must be 0 to {MAX_MONEY:,} sat")
        if len(script) > MAX_SCRIPT:
            raise bad_field(f"{field}[{index}].script", f"must be at most {MAX_SCRIPT:,} bytes")
    outputs = tuple(Output(amount, bytes(script)) for amount, script in spent)
    if _worth(outputs) > MAX_MONEY:
        raise bad_field(field, f"must be worth at most {MAX_MONEY:,} sat together")
    return outputs


def _worth(outputs: Iterable[Output]) -> int:
    """Add up amounts, in satoshi."""
    return sum(output.amount for output in outputs)
