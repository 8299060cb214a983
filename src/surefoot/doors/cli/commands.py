"""Every command: the nouns with what they are about, and the tables of all their verbs."""

from __future__ import annotations

from surefoot.doors.cli.commands_advisory import ADVISORIES
from surefoot.doors.cli.commands_auditor import AUDITOR
from surefoot.doors.cli.commands_deployment import DEPLOYMENTS
from surefoot.doors.cli.commands_enrolment import ENROLMENT
from surefoot.doors.cli.commands_environment import ENVIRONMENTS
from surefoot.doors.cli.commands_finding import FINDINGS
from surefoot.doors.cli.commands_gate import GATES
from surefoot.doors.cli.commands_here import HERE
from surefoot.doors.cli.commands_people import PEOPLE, RELEASES
from surefoot.doors.cli.commands_rollout import ROLLOUTS
from surefoot.doors.cli.commands_trust import TRUST
from surefoot.doors.cli.commands_witness import WITNESS

NOUNS = {
    "installation": "this installation",
    "person": "people, their keys and roles",
    "who-can": "who may do something, now or at a time",
    "definition": "the product's rules in force",
    "release": "signed releases",
    "job": "long work in progress",
    "deployment": "plans, approvals and deployments",
    "rollout": "how a release goes through the devices",
    "environment": "what runs where, then and now",
    "drift": "differences between record and reality",
    "freeze": "times without deployments",
    "watch": "gates that look again and again at what runs",
    "waiver": "who takes an inconclusive gate upon themselves",
    "secret": "secrets of an environment",
    "device": "devices of an environment",
    "fleet": "the devices of an environment together",
    "finding": "what checks found, and what people decided about it",
    "baseline": "what is approved to be there",
    "hardening": "how a machine is set up",
    "advisories": "known weaknesses of packages, and what they say of yours",
    "journal": "the record and its proof",
    "root": "root.json: the file that trust starts at",
    "witness": "watch over a log, on another machine",
    "auditor": "replay a whole log, on another machine",
    "verify": "verify a proof offline",
    "key": "keys of people",
    "login": "open a browser session by a one-time link",
    "init": "make a new installation",
    "use": "remember server and key",
    "server": "run the server",
    "explain": "what an error code means and what to do",
    "demo": "see it all on a real product",
}

COMMANDS = (
    *(*PEOPLE, *RELEASES, *DEPLOYMENTS, *ROLLOUTS, *ENVIRONMENTS, *ENROLMENT, *FINDINGS, *GATES),
    *(*TRUST, *HERE, *WITNESS),
    *(*AUDITOR, *ADVISORIES),
)
