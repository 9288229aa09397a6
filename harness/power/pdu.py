# SPDX-License-Identifier: GPL-2.0-or-later
"""`driver: pdu`: an outlet behind pdudaemon (github.com/pdudaemon/pdudaemon), by its HTTP listener.

pdudaemon tells no state: GET /power/control/on|off?hostname=&port= (or ?alias=) is answered 200 when the job was done (1.x),
or whatever came of it (0.x, Debian 12), and 500 for an unknown outlet. So the state comes from a program of the lab's owner
(`read_back`), or from nowhere: then the port's state is "unknown", and on the record stands that nothing was read back.
"""

import urllib.parse

from harness.errors import InfraError
from harness.power.command import ReadBack
from harness.power.port import Refused, Silent, State, Timing
from harness.power.program import Runner
from harness.power.switched import SwitchedPort, Want
from harness.power.web import Request, Site

_BLIND = "pdudaemon took the order; nothing was read back"


class PduPort(SwitchedPort):
    """hostname: the PDU's name in pdudaemon.conf, with `port`; or `alias`. `site.timeout` has to cover pdudaemon's retries."""

    remedy = "look at pdudaemon's log, and at this PDU in its pdudaemon.conf"

    def __init__(
        self,
        site: Site,
        *,
        hostname: str = "",
        port: str = "",
        alias: str = "",
        read_back: ReadBack | None = None,
        runner: Runner | None = None,
        timing: Timing | None = None,
    ) -> None:
        outlet = f"alias {alias}" if alias else f"{hostname} port {port}"
        super().__init__(f"pdudaemon {site.host} {outlet}", timing)
        self._query = urllib.parse.urlencode({"alias": alias} if alias else {"hostname": hostname, "port": port})
        self._site, self._read_back, self._runner = site, read_back, runner or Runner()

    def order(self, want: Want) -> None:
        self._site.send(Request(f"/power/control/{want}?{self._query}"))

    def look(self) -> State:
        if self._read_back is None:
            return "unknown"
        state, self.detail = self._read_back.state(self._runner)
        return state

    def identify(self) -> str:
        """pdudaemon tells nothing of itself; InfraError when nobody listens there. Nothing is asked for."""
        try:
            self._site.knock()
        except Silent as error:
            raise InfraError(
                f"{self.identity}: {error}", remedy="is pdudaemon running, with its HTTP listener?"
            ) from None
        return "pdudaemon, without state of its own" if self._read_back is None else "pdudaemon"

    def _switch(self, want: Want) -> None:
        if self._read_back is not None:
            super()._switch(want)
            return
        with self._lock:
            try:
                self.order(want)
            except (Refused, Silent) as error:
                raise InfraError(f"{self.identity} was not switched {want}: {error}", remedy=self.remedy) from None
            self.detail = _BLIND
