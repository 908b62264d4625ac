"""Random interleavings around an honest coordinator: nobody loses a record, nobody breaks, whoever may sign does."""

from hypothesis.stateful import invariant, run_state_machine_as_test

from tests.world.machine import Sessions
from tests.world.profile import profile


class HonestCoordinator(Sessions):
    """The coordinator keeps to the rules; everything else may happen."""

    @invariant()
    def nobody_loses_a_record_and_nobody_breaks(self) -> None:
        """Asked after every move."""
        self.world.require_sound()
        self.world.require_honest()

    def teardown(self) -> None:
        """In the end everybody comes back, and all agree."""
        for peer in self.peers:
            peer.come_back()
        self.world.run()
        self.nobody_loses_a_record_and_nobody_breaks()
        self.world.require_results()
        self.world.require_nobody_at_fault()
        self.world.require_logs_replay()
        super().teardown()


def test_no_interleaving_loses_a_record_or_signs_without_leave() -> None:
    run_state_machine_as_test(HonestCoordinator, settings=profile(examples=400, moves=40))
