"""BIP-340 and BIP-327 on libsecp256k1: points, signatures, key lists, nonces, pre-signatures."""
