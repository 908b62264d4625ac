"""A private Bitcoin in memory: Bitcoin Core's own consensus code decides, and no network is asked.

    with Regtest() as chain:
        coin = chain.fund(script)               a coinbase pays the script, 100 blocks make it spendable
        unsigned = transaction([coin], [...])   ... sign it ...
        chain.mine(signed)                      True: the block that holds it has become the tip
        verify_input(signed, 0, spent)          True: the script of this input is satisfied, chain or no chain

The rules are those of regtest: the same script, amount and double-spend rules as on the main chain, with a proof of
work that takes two tries. Time is counted from the genesis block, ten minutes a block, so that every run is equal.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import sha256
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Final, NamedTuple, Self

import pbk
from btclib.tx import Tx
from pbk.script import PrecomputedTransactionData

COIN: Final = 100_000_000
"""Satoshi in a bitcoin."""

MATURITY: Final = 100
"""Blocks after which a coinbase may be spent."""

_GENESIS_TIME: Final = 1_296_688_602
_HALVING: Final = 150
_BITS: Final = 0x207FFFFF
_TARGET: Final = 0x7FFFFF << 232
_ANYONE: Final = b"\x51"


class Coin(NamedTuple):
    """An unspent output: where it stands, its ``amount`` in satoshi and the scriptPubKey that guards it."""

    txid: bytes
    vout: int
    amount: int
    script: bytes


class Regtest:
    """A regtest chain in memory, with the genesis block and nothing else; used as a context manager."""

    def __init__(self) -> None:
        """Start the chain; the kernel wants a folder for its block files, which is removed at the end."""
        self._folder = TemporaryDirectory(prefix="regtest-")
        context = pbk.make_context(pbk.ChainType.REGTEST)
        options = pbk.ChainstateManagerOptions(context, self._folder.name, f"{self._folder.name}/blocks")
        options.update_block_tree_db_in_memory(True)
        options.update_chainstate_db_in_memory(True)
        self._chain = pbk.ChainstateManager(options)

    def __enter__(self) -> Self:
        """Give the chain."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Forget the chain and its folder."""
        del self._chain
        self._folder.cleanup()

    @property
    def height(self) -> int:
        """The number of blocks after genesis."""
        return int(self._chain.get_active_chain().height)

    def fund(self, script: bytes, amount: int | None = None) -> Coin:
        """Pay ``script`` from a coinbase and mine until it may be spent: 101 blocks.

        ``amount`` is in satoshi, at most the block's subsidy, which it is by default: 50 BTC, halved every 150 blocks.

        Raises:
            ValueError: the amount is more than the subsidy.
        """
        subsidy = (50 * COIN) >> ((self.height + 1) // _HALVING)
        amount = subsidy if amount is None else amount
        if not 0 <= amount <= subsidy:
            raise ValueError(f"amount: at most {subsidy} sat, the subsidy of the next block")
        coinbase = _coinbase(self.height + 1, [(amount, script)])
        self._connect(coinbase, [])
        for _ in range(MATURITY):
            self.mine()
        return Coin(_hash256(coinbase), 0, amount, script)

    def mine(self, *transactions: bytes) -> bool:
        """Mine one block that holds ``transactions``, in order; False if consensus refuses them: nothing has changed.

        Raises:
            RuntimeError: bytes that are no transaction.
        """
        commitment = _witness_commitment(transactions)
        coinbase = _coinbase(self.height + 1, [(0, _ANYONE), (0, commitment)], witness=True)
        return self._connect(coinbase, transactions)

    def signature_that_spent(self, coin: Coin) -> bytes:
        """Read the key-path signature (64 bytes) by which the newest block spends ``coin``: everybody can.

        Raises:
            LookupError: the newest block does not spend it so.
        """
        tip = self._chain.get_active_chain().block_tree_entries[self.height]
        for mined in self._chain.blocks[tip].transactions:
            for spender in Tx.parse(bytes(mined)).vin:
                spent = (spender.prev_out.tx_id[::-1], spender.prev_out.vout)
                if spent == (coin.txid, coin.vout) and len(spender.script_witness.stack) == 1:
                    return bytes(spender.script_witness.stack[0])
        raise LookupError("the newest block does not spend this coin")

    def _connect(self, coinbase: bytes, transactions: Sequence[bytes]) -> bool:
        """Find a proof of work and offer the block; whether it connected is judged by the height."""
        before = self.height
        tip = bytes(self._chain.get_active_chain().block_tree_entries[before].block_hash)
        txids = [bytes(pbk.Transaction(raw).txid) for raw in (coinbase, *transactions)]
        header = _proven_header(tip, _merkle_root(txids), _GENESIS_TIME + 600 * (before + 1))
        block = header + _varint(len(txids)) + coinbase + b"".join(transactions)
        try:
            self._chain.process_block(pbk.Block(block))
        except pbk.ProcessBlockException:
            return False
        return self.height == before + 1


def transaction(
    coins: Sequence[Coin],
    outputs: Sequence[tuple[int, bytes]],
    *,
    lock: int = 0,
    sequence: int = 0xFFFFFFFD,
) -> bytes:
    """Serialize an unsigned transaction, version 2, that spends ``coins`` and makes ``outputs`` (amount, script)."""
    inputs = b"".join(
        coin.txid + struct.pack("<I", coin.vout) + b"\x00" + struct.pack("<I", sequence) for coin in coins
    )
    return b"".join(
        (struct.pack("<i", 2), _varint(len(coins)), inputs, _outputs(outputs), struct.pack("<I", lock)),
    )


def made(unsigned: bytes, vout: int, amount: int, script: bytes) -> Coin:
    """Name the coin that an unsigned transaction will make as output ``vout``: a txid covers no witness (BIP-141)."""
    return Coin(_hash256(unsigned), vout, amount, script)


def witnessed(unsigned: bytes, signature: bytes) -> bytes:
    """Put a key-path signature (64 bytes) into a transaction of one input, and ask nobody whether it is one."""
    return unsigned[:4] + b"\x00\x01" + unsigned[4:-4] + b"\x01\x40" + signature + unsigned[-4:]


def verify_input(signed: bytes, index: int, spent: Sequence[tuple[int, bytes]]) -> bool:
    """Run the script of input ``index`` alone, against one (amount, script) per input; no chain is asked.

    Raises:
        RuntimeError: bytes that are no transaction.
    """
    parsed = pbk.Transaction(signed)
    guards = [pbk.ScriptPubkey(script) for _, script in spent]
    outputs = [pbk.TransactionOutput(guard, amount) for guard, (amount, _) in zip(guards, spent, strict=True)]
    data = PrecomputedTransactionData(parsed, outputs)
    return bool(guards[index].verify(spent[index][0], parsed, data, index, pbk.ScriptVerificationFlags.ALL))


def _coinbase(height: int, outputs: Sequence[tuple[int, bytes]], *, witness: bool = False) -> bytes:
    """Serialize a coinbase; its scriptSig begins with the height (BIP-34), its witness is 32 zero bytes (BIP-141)."""
    script = _height(height) + b"\x00"
    body = b"".join((b"\x01", bytes(32), b"\xff" * 4, _varint(len(script)), script, b"\xff" * 4, _outputs(outputs)))
    if witness:
        return struct.pack("<i", 2) + b"\x00\x01" + body + b"\x01\x20" + bytes(32) + bytes(4)
    return struct.pack("<i", 2) + body + bytes(4)


def _height(height: int) -> bytes:
    """Write a height as BIP-34 wants it: pushed in the shortest form."""
    if height <= 16:
        return bytes((0x50 + height,))
    number = height.to_bytes(height.bit_length() // 8 + 1, "little")
    return bytes((len(number),)) + number


def _witness_commitment(transactions: Sequence[bytes]) -> bytes:
    """Build the script by which a coinbase commits to the witnesses of its block (BIP-141)."""
    root = _merkle_root([bytes(32), *map(_hash256, transactions)])
    return b"\x6a\x24\xaa\x21\xa9\xed" + _hash256(root + bytes(32))


def _proven_header(previous: bytes, root: bytes, time: int) -> bytes:
    """Serialize a block header (80 bytes) whose hash is below regtest's target."""
    head = struct.pack("<i32s32sII", 0x20000000, previous, root, time, _BITS)
    for nonce in range(2**32):
        header = head + struct.pack("<I", nonce)
        if int.from_bytes(_hash256(header), "little") <= _TARGET:
            return header
    raise AssertionError("unreachable: every second nonce fits")


def _merkle_root(hashes: Sequence[bytes]) -> bytes:
    """Fold hashes in pairs to one; the last of an odd row is paired with itself."""
    row = list(hashes)
    while len(row) > 1:
        row += row[-1:] * (len(row) % 2)
        row = [_hash256(left + right) for left, right in zip(row[::2], row[1::2], strict=True)]
    return row[0]


def _outputs(outputs: Sequence[tuple[int, bytes]]) -> bytes:
    """Serialize outputs behind their number."""
    each = (struct.pack("<q", amount) + _varint(len(script)) + script for amount, script in outputs)
    return _varint(len(outputs)) + b"".join(each)


def _varint(number: int) -> bytes:
    """Serialize a CompactSize below 2³²."""
    if number < 0xFD:
        return struct.pack("<B", number)
    return b"\xfd" + struct.pack("<H", number) if number <= 0xFFFF else b"\xfe" + struct.pack("<I", number)


def _hash256(data: bytes) -> bytes:
    """SHA-256 twice."""
    return sha256(sha256(data).digest()).digest()
