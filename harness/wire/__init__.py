# SPDX-License-Identifier: GPL-2.0-or-later
"""The wire: packets of a boot, captured without loss; frames turned into events.

`capture.Capture` runs tcpdump and keeps a pcapng file while a boot runs; `decode.FrameDecoder` turns frames into the
events of `harness.boot.events`; `replay` does the same with a recorded file.
"""
