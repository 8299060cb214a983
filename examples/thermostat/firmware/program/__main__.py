"""The device's program: runs from the image, in the slot that was booted.

Usage: firmware.img (--health | --sample) SERVICE DEVICE FOLDER
`--health` looks at the whole path once: sensor, set point, a reading stored by the service.
`--sample` sends one reading. SERVICE is http://HOST:PORT, FOLDER the device's own folder.

Exit status: 0 and one line of JSON when it worked, 1 and one line of text when it did not.
"""

import json
import sys

import report
import sensor
import wire


def main(words: list[str]) -> int:
    """Do what the boot loader asked for."""
    if len(words) != 4 or words[0] not in ("--health", "--sample"):
        print("usage: firmware.img (--health | --sample) SERVICE DEVICE FOLDER", file=sys.stderr)
        return 2
    _, address, device, folder = words
    identity = json.loads(sensor.entry("identity.json"))
    try:
        with wire.Service(address) as service:
            figures = report.send(service, device, folder, health=words[0] == "--health")
    except (wire.Trouble, sensor.Trouble, OSError) as trouble:
        print(f"{identity['version']}: {trouble}", file=sys.stderr)
        return 1
    print(json.dumps({"version": identity["version"], **figures}))
    return 0


sys.exit(main(sys.argv[1:]))
