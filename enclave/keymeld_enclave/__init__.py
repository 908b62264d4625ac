"""The enclave: a peer that speaks for participants who are away.

    coordinator ◀─▶ conversation ◀─▶ agent ─┬─▶ custody        envelopes opened: each key, and the policy sealed with it
                                            └─▶ contributor    of the protocol: signs, and asks that policy first

It dials the coordinator like any other peer, opens the envelopes that were sealed to it, and checks every statement
itself.  For all its slots it signs as one signer, by the same code as any other holder of keys: custody lends the keys,
and what a participant sealed with a key is enforced before any nonce.  It is the only place where other people's keys
are ever open.
"""
