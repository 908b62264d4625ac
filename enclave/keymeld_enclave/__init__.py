"""The enclave: a peer that speaks for participants who are away.

It dials the coordinator like any other peer, opens the envelopes that were sealed to it, checks every statement and
rule itself, and signs as one signer for all its slots. It is the only place where other people's keys are ever open.
"""
