# SPDX-License-Identifier: GPL-2.0-or-later
"""The `piboot` command. Exit codes: 0 passed, 1 the board or its server failed, 2 configuration, 3 the lab's gear, 4 our bug.

Heavy imports happen in the commands, so that `piboot --help` answers at once.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

import harness
from harness.commands.exits import carried_out

app = typer.Typer(
    name="piboot",
    help="Boot Raspberry Pis from the network, watch wire and console, and judge every stage.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

LabOption = Annotated[Path, typer.Option("--lab", help="The lab's description.", metavar="FILE")]
ReportsOption = Annotated[Path, typer.Option("--reports", help="Where runs are kept.", metavar="DIR")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else there.")]

LAB = Path("lab.yaml")
REPORTS = Path("reports")


@app.command()
def boot(
    board: Annotated[str | None, typer.Argument(help="The board's name in the lab (default: its first).")] = None,
    lab: LabOption = LAB,
    reports: ReportsOption = REPORTS,
    speed: Annotated[float | None, typer.Option(help="Emulated boards: device delays N times as fast.")] = None,
    root: Annotated[str | None, typer.Option(help="Emulated servers: root file system, debian or light.")] = None,
    topology: Annotated[
        str | None, typer.Option(help="Emulated servers: set of services, e.g. router-option-66 (docs/topologies.md).")
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Emulated servers: your own image, .img or .img.xz (docs/images.md)."),
    ] = None,
    until: Annotated[str, typer.Option(help="The last stage to wait for.")] = "login",
    wait: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Wait so long for a board that another run has.", min=0)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Boot one board, live, and judge it."""
    from harness.commands.boot import boot_once  # noqa: PLC0415

    _run(
        lambda: boot_once(
            board,
            lab=lab,
            reports=reports,
            speed=speed,
            root=root,
            topology=topology,
            image=image,
            until=until,
            wait=wait,
            as_json=as_json,
        )
    )


@app.command()
def check(
    lab: LabOption = LAB,
    power: Annotated[
        bool, typer.Option("--power", help="Also switch every real board off and on again, and leave it as it was.")
    ] = False,
    servers: Annotated[
        bool,
        typer.Option(
            help="Look at the netboot servers as each board would, with its MAC address, and fetch its files."
        ),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Validate lab.yaml, look for the tools and rights that this lab needs, and ask its gear without switching anything."""
    from harness.commands.gear import check_lab  # noqa: PLC0415

    _run(lambda: check_lab(lab, power=power, servers=servers, as_json=as_json))


@app.command()
def power(
    board: Annotated[str, typer.Argument(help="The board's name in the lab.")],
    action: Annotated[str, typer.Argument(help="on, off, cycle or state.")],
    lab: LabOption = LAB,
    as_json: JsonOption = False,
) -> None:
    """Switch a board's power by hand, proven by what its port reads back; `state` only asks."""
    from harness.commands.gear import power_board  # noqa: PLC0415

    _run(lambda: power_board(board, action, lab=lab, as_json=as_json))


@app.command()
def console(
    board: Annotated[str, typer.Argument(help="The board's name in the lab.")],
    lab: LabOption = LAB,
    reports: ReportsOption = REPORTS,
    power: Annotated[
        bool, typer.Option("--power", help="Switch the board off and on first; start an emulated one for it.")
    ] = False,
    sysrq: Annotated[
        str, typer.Option("--sysrq", metavar="KEY", help="First a break and this SysRq key: h prints what there is.")
    ] = "",
) -> None:
    """Talk with a board on its console, beside whoever reads it already; Ctrl-] leaves. Everything is kept."""
    from harness.commands.console import console_board  # noqa: PLC0415

    _run(lambda: console_board(board, lab=lab, reports=reports, power=power, sysrq=sysrq))


@app.command()
def watch(
    board: Annotated[str, typer.Argument(help="The board's name in the lab.")],
    lab: LabOption = LAB,
    reports: ReportsOption = REPORTS,
    until: Annotated[str, typer.Option(help="The last stage to wait for; with login, we log in.")] = "userspace",
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="Wait so long for a boot to begin.")] = 3600.0,
    as_json: JsonOption = False,
) -> None:
    """Follow the next boot that somebody else starts, without touching the board's power, and judge it."""
    from harness.commands.gear import watch_board  # noqa: PLC0415

    _run(lambda: watch_board(board, lab=lab, reports=reports, until=until, timeout=timeout, as_json=as_json))


@app.command()
def replay(
    folder: Annotated[Path, typer.Argument(help="A boot's folder, reports/RUN/BOARD, or RUN/BOARD below --reports.")],
    reports: ReportsOption = REPORTS,
    write: Annotated[bool, typer.Option("--write", help="Replace record.json by the new judgement.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Judge the recorded files of a boot again."""
    from harness.commands.boot import replay_boot  # noqa: PLC0415

    _run(lambda: replay_boot(folder, reports=reports, write=write, as_json=as_json))


@app.command()
def report(
    folder: Annotated[Path | None, typer.Argument(help="A run's folder (default: the newest run).")] = None,
    reports: ReportsOption = REPORTS,
) -> None:
    """Write a run's report.html and junit.xml again; boots of a killed run are judged from what they left."""
    from harness.commands.boot import report_again  # noqa: PLC0415

    _run(lambda: report_again(folder, reports=reports))


@app.command()
def analyze(
    files: Annotated[list[Path], typer.Argument(help="Console logs, pcap or pcapng files; of one boot or of many.")],
    as_json: JsonOption = False,
) -> None:
    """Tell what console logs and captures show of each board, without a lab."""
    from harness.commands.analyze import analyze_files  # noqa: PLC0415

    _run(lambda: analyze_files(files, as_json=as_json))


@app.command()
def emulate(
    model: Annotated[str, typer.Option(help="Which Pi to be: pi3b, pi4, pi5 ...")],
    interface: Annotated[str, typer.Option(help="The Ethernet interface towards your server, e.g. eth1.")],
    serial_number: Annotated[str, typer.Option(metavar="HEX8", help="Names its TFTP folder.")] = "",
    mac: Annotated[str, typer.Option(metavar="MAC", help="Default: as a board of this serial number might have.")] = "",
    revision: Annotated[str, typer.Option(metavar="HEX", help="Board revision code.")] = "",
    eeprom: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="As in bootconf.txt; repeat it for more.")
    ] = None,
    bootloader: Annotated[str, typer.Option(metavar="DATE", help="EEPROM release, e.g. 2025-05-08.")] = "",
    speed: Annotated[float, typer.Option(help="The device's own delays pass N times as fast.")] = 1.0,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="End it then (default: its stages' times).")
    ] = None,
    reports: ReportsOption = REPORTS,
    as_json: JsonOption = False,
) -> None:
    """Be a Pi on any wire, against your own server, until its kernel would be started; root rights needed."""
    from harness.commands.emulate import emulate as emulate_board  # noqa: PLC0415
    from harness.commands.emulate import pairs  # noqa: PLC0415
    from harness.emulate import Pi  # noqa: PLC0415

    _run(
        lambda: emulate_board(
            Pi(model, interface, serial_number, mac, revision, pairs(eeprom or ()), bootloader, speed),
            timeout=timeout,
            reports=reports,
            as_json=as_json,
        )
    )


lab_app = typer.Typer(help="Show all boards of the lab: who has them, their power, their last boot.")
app.add_typer(lab_app, name="lab")


@lab_app.callback(invoke_without_command=True)
def lab_(
    context: typer.Context, lab: LabOption = LAB, reports: ReportsOption = REPORTS, as_json: JsonOption = False
) -> None:
    """Show all boards of the lab: who has them, their power, their last boot."""
    if context.invoked_subcommand is None:
        from harness.commands.lab import show_lab  # noqa: PLC0415

        _run(lambda: show_lab(lab, reports=reports, as_json=as_json))


@lab_app.command()
def release(board: Annotated[str, typer.Argument(help="The board's name.")], lab: LabOption = LAB) -> None:
    """Free a board whose run was killed or hangs, and bring its power where the lab's policy says."""
    from harness.commands.lab import release_board  # noqa: PLC0415

    _run(lambda: release_board(board, lab=lab))


@app.command()
def eeprom(
    board: Annotated[str | None, typer.Argument(help="The board's name in the lab (default: its first).")] = None,
    lab: LabOption = LAB,
    reports: ReportsOption = REPORTS,
    compare: Annotated[bool, typer.Option("--compare", help="Boot it, and compare with what it has.")] = False,
    running: Annotated[
        bool, typer.Option("--running", help="Compare without a boot: it runs, and its console logs in.")
    ] = False,
    root: Annotated[str | None, typer.Option(help="Emulated servers: root file system, debian or light.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the bootconf.txt (EEPROM) or OTP set-up that the lab wants of a board, or compare it with what is there."""
    from harness.commands.eeprom import eeprom as eeprom_of  # noqa: PLC0415

    _run(
        lambda: eeprom_of(board, lab=lab, reports=reports, compare=compare, running=running, root=root, as_json=as_json)
    )


@app.command()
def version() -> None:
    """Print the version."""
    print(f"piboot {harness.__version__}")


def _run(command: Callable[[], int]) -> None:
    raise typer.Exit(carried_out(command))


def main() -> None:
    """Entry point."""
    app()


if __name__ == "__main__":
    main()
