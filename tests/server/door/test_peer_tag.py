"""An address appears in no log line; a word does, that puts lines side by side."""

from keymeld_server.door.peer_tag import peer_tag


def test_an_address_appears_as_a_word_that_is_the_same_while_we_live() -> None:
    assert peer_tag("192.0.2.7") == peer_tag("192.0.2.7") != peer_tag("192.0.2.8")
    assert len(peer_tag("192.0.2.7")) == len(peer_tag("2001:db8::1")) == 8
