"""What DATABASE_URL and REDIS_URL may be. Errors name the variable and the remedy, and nothing of what was given."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

DATABASE_EXAMPLE = "postgresql://USER:PASSWORD@HOST:5432/DATABASE"
REDIS_EXAMPLE = "redis://:PASSWORD@HOST:6379/0"
_DATABASE_SCHEMES = ("postgresql", "postgres")
_REDIS_SOCKET_EXAMPLE = "unix://:PASSWORD@/run/redis/redis.sock?db=0"
_REDIS_SCHEMES = ("redis", "rediss", "unix")
_DATABASES_THAT_ARE_NOT = {
    "sqlite": "SQLite lets one process write at a time and has no SKIP LOCKED",
    "sqlite3": "SQLite lets one process write at a time and has no SKIP LOCKED",
    "mysql": "the ledger's statements are PostgreSQL's own (RETURNING, arrays, jsonb, advisory locks)",
    "mariadb": "the ledger's statements are PostgreSQL's own (RETURNING, arrays, jsonb, advisory locks)",
}
_BROKERS_THAT_ARE_NOT = {
    "sentinel": "Redis Sentinel is not supported yet: give the address of the primary, or one that follows it",
    "amqp": "RabbitMQ is not supported yet: limits, results and checks need Redis",
    "amqps": "RabbitMQ is not supported yet: limits, results and checks need Redis",
    "sqs": "Amazon SQS is not supported: limits, results and checks need Redis",
    "memory": "every process needs the same server",
    "socket": f"a Unix socket is written {_REDIS_SOCKET_EXAMPLE}",
    "redis+socket": f"a Unix socket is written {_REDIS_SOCKET_EXAMPLE}",
}
_CLUSTER = (
    "REDIS_URL names several servers: Redis Cluster is not supported yet, because the queues must lie on one server. "
    f"Name one: {REDIS_EXAMPLE}"
)
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_QUOTED = "in a password / ? # @ : % are written %2F %3F %23 %40 %3A %25"
_OPTION_NAMES = (
    "application_name channel_binding client_encoding connect_timeout dbname fallback_application_name gssdelegation "
    "gssencmode gsslib host hostaddr keepalives keepalives_count keepalives_idle keepalives_interval krbsrvname "
    "load_balance_hosts max_protocol_version min_protocol_version options passfile password port require_auth "
    "requirepeer service ssl_max_protocol_version ssl_min_protocol_version sslcert sslcertmode sslcompression sslcrl "
    "sslcrldir sslkey sslmode sslnegotiation sslpassword sslrootcert sslsni target_session_attrs tcp_user_timeout "
    "user"
)
_LIBPQ_OPTIONS = frozenset(_OPTION_NAMES.split())
_REDIS_OPTIONS = ("ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_CERTIFICATE_REQUIREMENTS = ("required", "optional", "none")
_CHOICES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """The parts of a DATABASE_URL; several hosts and ports are separated by commas, as libpq takes them."""

    user: str
    password: str = field(repr=False)
    hosts: str
    ports: str
    database: str
    options: Mapping[str, str] = field(repr=False)

    @property
    def is_one_server(self) -> bool:
        return "," not in self.hosts


def parse_database_url(url: str) -> DatabaseAddress:
    """The parts of `url`, unquoted. Raises ValueError that says what DATABASE_URL may be."""
    parts = _split(url, "DATABASE_URL", DATABASE_EXAMPLE)
    _require_scheme(parts.scheme, "DATABASE_URL", _DATABASE_SCHEMES, DATABASE_EXAMPLE, _DATABASES_THAT_ARE_NOT)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    _require_known_options(query)
    credentials, _, places = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    hosts, ports = _hosts_and_ports(places, "DATABASE_URL")
    database = parts.path.removeprefix("/")
    if parts.fragment or re.search("[/@]", database):
        raise ValueError(f"DATABASE_URL must end with the name of a database, as in {DATABASE_EXAMPLE}; {_QUOTED}")
    return DatabaseAddress(
        user=unquote(user) or query.pop("user", ""),
        password=unquote(password) or query.pop("password", ""),
        hosts=hosts or query.pop("host", ""),
        ports=ports or query.pop("port", ""),
        database=unquote(database) or query.pop("dbname", ""),
        options=query,
    )


def checked_database_url(url: str) -> str:
    """`url` without the spaces around it. Raises ValueError that says what DATABASE_URL may be."""
    parse_database_url(url)
    return url.strip()


def checked_redis_url(url: str) -> str:
    """`url` without the spaces around it. Raises ValueError that says what REDIS_URL may be."""
    parts = _split(url, "REDIS_URL", REDIS_EXAMPLE)
    scheme = parts.scheme
    if scheme.startswith(("redis-cluster", "rediss-cluster", "redis+cluster", "rediss+cluster")):
        raise ValueError(_CLUSTER)
    _require_scheme(scheme, "REDIS_URL", _REDIS_SCHEMES, REDIS_EXAMPLE, _BROKERS_THAT_ARE_NOT)
    if scheme == "unix":
        _require_socket(parts)
        return url.strip()
    place = parts.netloc.rpartition("@")[2]
    if "," in place or ";" in url:
        raise ValueError(_CLUSTER)
    host, _ = _hosts_and_ports(place, "REDIS_URL")
    if not host:
        raise ValueError(f"REDIS_URL names no host; it looks like {REDIS_EXAMPLE}, and {_QUOTED}")
    if parts.fragment or not re.fullmatch(r"/?\d*", parts.path):
        raise ValueError(f"REDIS_URL must end with the number of a database, as in {REDIS_EXAMPLE}; {_QUOTED}")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    _require_certificates(scheme, query)
    _require_redis_options(query, _REDIS_OPTIONS)
    return url.strip()


def _require_socket(parts: SplitResult) -> None:
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    number = query.get("db", "0")
    if parts.netloc.rpartition("@")[2] or len(parts.path) < 2 or not number.isdecimal():
        raise ValueError(f"REDIS_URL: a Unix socket is written {_REDIS_SOCKET_EXAMPLE}; {_QUOTED}")
    _require_redis_options(query, ("db",))


def _require_redis_options(query: Mapping[str, str], known: Collection[str]) -> None:
    """What one of the clients (redis-py, kombu, Celery) does not know, it takes for an argument, and fails."""
    if not query.keys() <= set(known):
        raise ValueError(
            f"REDIS_URL has an option that not every client knows; they know {', '.join(known)}; {_QUOTED}"
        )


def _split(url: str, variable: str, example: str) -> SplitResult:
    unreadable = f"{variable} cannot be read; it looks like {example}, and {_QUOTED}"
    text = url.strip()
    try:
        parts = urlsplit(text)
    except ValueError:
        # Its own words repeat what was given, password included.
        raise ValueError(unreadable) from None
    # Python reads these all the same; the servers' clients do not, and repeat what was given.
    if (
        _CONTROL_CHARACTER.search(text)
        or _BROKEN_ESCAPE.search(text)
        or not text.startswith(f"{parts.scheme}://" if parts.scheme else "")
    ):
        raise ValueError(unreadable)
    return parts


def _require_scheme(
    scheme: str, variable: str, schemes: tuple[str, ...], example: str, others: Mapping[str, str]
) -> None:
    if scheme in schemes:
        return
    # A scheme that nobody knows may be the beginning of a password.
    why = others.get(scheme) or others.get(scheme.partition("+")[0], "")
    wrong = f", not with {scheme}://: {why}" if why else ""
    starts = " or ".join(f"{one}://" for one in schemes)
    raise ValueError(f"{variable} must start with {starts}{wrong}. It looks like {example}")


def _require_known_options(query: Mapping[str, str]) -> None:
    for name, value in query.items():
        if name not in _LIBPQ_OPTIONS:
            near = get_close_matches(name, _LIBPQ_OPTIONS, n=1)
            meant = f" (is {near[0]} meant?)" if near else ""
            message = f"DATABASE_URL has an option that PostgreSQL's clients do not know{meant}; they know sslmode, "
            raise ValueError(f"{message}sslrootcert, target_session_attrs, host, port and others, and {_QUOTED}")
        if name in _CHOICES and value not in _CHOICES[name]:
            raise ValueError(f"DATABASE_URL: {name} is one of {', '.join(_CHOICES[name])}")


def _hosts_and_ports(places: str, variable: str) -> tuple[str, str]:
    """`h1:1,[h2]:2` as `h1,h2` and `1,2`."""
    hosts, ports = [], []
    for place in places.split(","):
        host, port = _host_and_port(place, variable)
        hosts.append(host)
        ports.append(port)
    return ",".join(hosts), ",".join(ports) if any(ports) else ""


def _host_and_port(place: str, variable: str) -> tuple[str, str]:
    found = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(?::(\d*))?", place)
    port = found[2] or "" if found else ""
    if found is None or int(port or 1) not in range(1, 65536):
        message = f"{variable}: the host and port cannot be read: a port is a number from 1 to 65535, an IPv6 address"
        raise ValueError(f"{message} stands in [brackets], and {_QUOTED}")
    return unquote(found[1].strip("[]")), port


def _require_certificates(scheme: str, query: Mapping[str, str]) -> None:
    named = query.get("ssl_cert_reqs")
    if scheme == "rediss" and named not in _CERTIFICATE_REQUIREMENTS:
        raise ValueError(
            "REDIS_URL: rediss:// says whether the server's certificate is verified: add ?ssl_cert_reqs=required, "
            "and &ssl_ca_certs=/path/of/ca.pem where the authority is one of yours"
        )
    if scheme == "redis" and any(name.startswith("ssl_") for name in query):
        raise ValueError("REDIS_URL: options that begin with ssl_ need rediss:// instead of redis://")
