"""How Kafka is reached: the one place that turns the settings into the options of a client."""

import ssl
from functools import cache
from pathlib import Path
from typing import Any

from core.errors import FatalError
from core.settings import Settings

ClientOptions = dict[str, Any]
"""Keyword arguments of every aiokafka client."""


def client_options(settings: Settings) -> ClientOptions:
    """Return the brokers and, where they are set, TLS and the user. Raises FatalError for TLS files that do not fit."""
    options: ClientOptions = {"bootstrap_servers": settings.kafka_brokers}
    protocol = settings.kafka_security_protocol
    if protocol != "PLAINTEXT":
        options["security_protocol"] = protocol
    if protocol in {"SSL", "SASL_SSL"}:
        password = settings.kafka_ssl_key_password
        options["ssl_context"] = _tls(
            settings.kafka_ssl_ca_file,
            settings.kafka_ssl_cert_file,
            settings.kafka_ssl_key_file,
            # Never None: OpenSSL would ask the terminal for the password of a key that has one.
            password.get_secret_value() if password else "",
        )
    if protocol in {"SASL_PLAINTEXT", "SASL_SSL"}:
        assert settings.kafka_sasl_password is not None  # noqa: S101 - the settings see to it
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_sasl_username
        options["sasl_plain_password"] = settings.kafka_sasl_password.get_secret_value()
    return options


# Once: the files are read from disk, and /ready asks with a new client each time.
@cache
def _tls(authorities: Path | None, certificate: Path | None, key: Path | None, password: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=authorities)
        if certificate is not None:
            context.load_cert_chain(certificate, key, password)
    except (OSError, ValueError) as error:
        raise FatalError(
            f"The TLS files for Kafka cannot be used: {error}. Check KAFKA_SSL_CA_FILE, KAFKA_SSL_CERT_FILE, "
            "KAFKA_SSL_KEY_FILE and KAFKA_SSL_KEY_PASSWORD."
        ) from error
    return context
