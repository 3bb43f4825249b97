"""The same connection to Kafka, in Faust's words."""

import ssl

import faust

from core.connection import ClientOptions


def credentials(options: ClientOptions) -> faust.SASLCredentials | ssl.SSLContext | None:
    """Return Faust's `broker_credentials` for a client's options; None for a broker that asks for nothing."""
    tls: ssl.SSLContext | None = options.get("ssl_context")
    if "sasl_mechanism" not in options:
        return tls
    return faust.SASLCredentials(
        mechanism=options["sasl_mechanism"],
        username=options["sasl_plain_username"],
        password=options["sasl_plain_password"],
        ssl_context=tls,
    )
