# SPDX-License-Identifier: GPL-2.0-or-later
"""From lab.yaml's `power:` to a port that switches. Secrets are resolved here, and no driver is imported that is not used."""

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from harness.config.gear import POWER_GROUP, PluginPower
from harness.config.power import (
    CommandPower,
    GpioRelayPower,
    HttpPower,
    HttpRequest,
    PduPower,
    PoeSnmpPower,
    ProgramState,
    UsbHubPower,
)
from harness.config.power_web import UNIFI_OUTLET
from harness.config.secret import Secret, SecretSource
from harness.errors import ConfigError, HarnessError
from harness.power.command import Expected, ReadBack
from harness.power.port import PowerPort, Timing

if TYPE_CHECKING:
    from harness.power.web import Site


def open_port(config: Any, *, starts: bool = True) -> PowerPort:  # noqa: PLR0911 - one per driver
    """The port that one of lab.yaml's drivers stands for. ConfigError: a secret is not where lab.yaml says, or a third-party
    driver does not take its keys. Nothing is sent yet. starts: whether a relay's line may be taken, when nobody holds it.
    """
    match config:
        case PoeSnmpPower():
            return _poe(config)
        case GpioRelayPower():
            return _relay(config, starts=starts)
        case HttpPower():
            return _http(config)
        case PduPower():
            return _pdu(config)
        case CommandPower():
            return _command(config)
        case UsbHubPower():
            return _usb_hub(config)
        case PluginPower():
            return _plugin(config)
    raise TypeError(f"{type(config).__name__} is not a port of real gear")


def _secret(source: SecretSource | None) -> Secret | None:
    return source.resolve() if source is not None else None


def _poe(config: PoeSnmpPower) -> PowerPort:
    from harness.power.poe_snmp import PoeSnmpPort  # noqa: PLC0415
    from harness.power.snmp import Agent  # noqa: PLC0415
    from harness.power.snmp_credentials import Credentials  # noqa: PLC0415

    credentials = Credentials(
        version=config.version,
        community=_secret(config.community),
        user=config.user or "",
        auth=config.auth,
        auth_key=_secret(config.auth_key),
        privacy=config.privacy,
        privacy_key=_secret(config.privacy_key),
        context=config.context or "",
    )
    agent = Agent(config.host, config.udp_port, credentials, timeout=config.timeout, retries=config.retries)
    return PoeSnmpPort(agent, port=config.port, group=config.group, timing=Timing(limit=config.limit, poll=0.25))


def _relay(config: GpioRelayPower, *, starts: bool) -> PowerPort:
    from harness.power.gpio_line import Wiring  # noqa: PLC0415
    from harness.power.gpio_relay import GpioRelayPort  # noqa: PLC0415

    wiring = Wiring(
        config.pin,
        active_low=config.active == "low",
        contact="no" if config.contact == "normally-open" else "nc",
        factory=config.factory,
        host=config.host or "",
        port=config.tcp_port,
        chip=config.chip,
    )
    return GpioRelayPort(wiring, on_exit=config.on_exit, timing=Timing(limit=config.limit), starts=starts)


def _http(config: HttpPower) -> PowerPort:
    from harness.power.http_switch import PRESETS, Dialect, HttpPort  # noqa: PLC0415
    from harness.power.reading import Reader  # noqa: PLC0415
    from harness.power.web import Request, Site  # noqa: PLC0415

    def request(part: HttpRequest) -> Request:
        return Request(part.path, part.method, part.body, part.headers)

    site = Site(
        config.url,
        user=config.user or "",
        password=_secret(config.password),
        headers={name: source.resolve() for name, source in config.headers.items()},
        timeout=config.timeout,
        ca=config.certificates,
        verify=config.tls == "verify",
    )
    if config.preset == "unifi":
        return _unifi(config, site)
    if config.preset is not None:
        dialect = PRESETS[config.preset]
    else:
        on, off, state, reads = config.on, config.off, config.state, config.reads
        assert on and off and state and reads  # noqa: S101, PT018 - the loader lets nothing else through
        dialect = Dialect(request(on), request(off), request(state), Reader(reads.on, reads.off, reads.json_path or ""))
    return HttpPort(site, dialect.of(config.outlet or dialect.outlet), Timing(limit=config.limit, poll=0.25))


def _unifi(config: HttpPower, site: "Site") -> PowerPort:
    from harness.power.unifi import UnifiPort  # noqa: PLC0415

    found = UNIFI_OUTLET.fullmatch(config.outlet or "")
    assert found is not None  # noqa: S101 - the loader lets nothing else through
    limit = config.limit if "limit" in config.model_fields_set else 90.0
    timing = Timing(limit=limit, poll=1.0, settle=1.0)
    return UnifiPort(site, switch=found[2], port=int(found[3]), place=found[1] or "default", timing=timing)


def _pdu(config: PduPower) -> PowerPort:
    from harness.power.pdu import PduPort  # noqa: PLC0415
    from harness.power.web import Site  # noqa: PLC0415

    return PduPort(
        Site(config.url, timeout=config.timeout),
        hostname=config.hostname or "",
        port=config.port or "",
        alias=config.alias or "",
        read_back=_read_back(config.read_back) if config.read_back is not None else None,
        timing=Timing(limit=config.limit, poll=0.5),
    )


def _command(config: CommandPower) -> PowerPort:
    from harness.power.command import CommandPort  # noqa: PLC0415
    from harness.power.program import Runner  # noqa: PLC0415

    runner = Runner(config.timeout, {name: source.resolve() for name, source in config.environment.items()})
    read_back = _read_back(config.read_back)
    return CommandPort(config.on, config.off, read_back, runner=runner, timing=Timing(limit=config.limit, poll=0.25))


def _usb_hub(config: UsbHubPower) -> PowerPort:
    from harness.power.program import Runner  # noqa: PLC0415
    from harness.power.usb_hub import UsbHubPort  # noqa: PLC0415

    timing = Timing(limit=config.limit, poll=0.5)
    return UsbHubPort(hub=config.hub, port=config.port, runner=Runner(config.timeout), timing=timing)


def _read_back(config: ProgramState) -> ReadBack:
    on, off = (Expected(shows.output, shows.status) for shows in (config.on, config.off))
    return ReadBack(config.command, on, off)


def _plugin(config: PluginPower) -> PowerPort:
    """The port that another package's driver makes (entry point group `piboot.power`)."""
    point = next(point for point in entry_points(group=POWER_GROUP) if point.name == config.driver)
    try:
        port: PowerPort = point.load()(**config.options)
    except HarnessError:
        raise
    except Exception as error:  # whatever another package raises: its keys, or its imports
        raise ConfigError(
            f"the power driver {config.driver} ({point.value}) cannot be opened: {type(error).__name__}: {error}",
            remedy="correct the keys under `power:`, or see that package's documentation",
        ) from error
    return port
