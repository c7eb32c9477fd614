"""The ways to a person: a webhook that chat services understand, and e-mail.

Belongs here: one delivery and what its failure means. When it is tried again is :mod:`aegis.monitoring.alert_dispatch`.
No secret is in what they send or say: the webhook's address is shown as its host, the mail password not at all.
"""

from __future__ import annotations

import os
import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import format_datetime

from aegis.config_monitoring import SMTP_VARIABLES, EmailSettings, MonitoringSettings
from aegis.errors import ConfigurationError
from aegis.live_trading.webhook import post
from aegis.monitoring.alert_messages import AlertChannel, AlertMessage, Sent

_MESSAGE_ID_HOST = "alerts.aegis.invalid"  # a host that cannot exist (RFC 2606): nobody is asked for it


class WebhookChannel:
    """POSTs JSON with Slack's `text` beside the fields of the message.

    Parameters
    ----------
    url : str
        Where to; it may hold a secret.
    timeout_seconds : float
        For the connection and for each read.
    """

    name = "webhook"

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        self._url = url
        self._timeout_seconds = timeout_seconds

    def send(self, message: AlertMessage) -> Sent:
        """Call the webhook; the key of the message is its ``Idempotency-Key``."""
        payload = {
            "text": f"{message.subject}\n{message.body}",
            "event": "cleared" if message.is_over else "alert",
            "cause_key": message.cause_key,
            "title": message.title,
            "body": message.body,
            "severity": message.severity,
            "at_utc": message.at_utc.isoformat(),
        }
        answer = post(self._url, payload, idempotency_key=message.key, timeout_seconds=self._timeout_seconds)
        return Sent(answer.problem, answer.is_reachable)


class EmailChannel:
    """Sends e-mail through a mail server.

    Parameters
    ----------
    settings : EmailSettings
        With a host and recipients.
    environment : mapping of str to str
        Holds name and password, :data:`aegis.config_monitoring.SMTP_VARIABLES`, where the server asks for them.

    Raises
    ------
    ConfigurationError
        There is no recipient, a password without a name, or a password that would be sent in the clear.
    """

    name = "e-mail"

    def __init__(self, settings: EmailSettings, environment: Mapping[str, str] | None = None) -> None:
        given = os.environ if environment is None else environment
        self._settings = settings
        self._user, self._password = (given.get(variable, "") for variable in SMTP_VARIABLES)
        if not settings.recipients:
            raise ConfigurationError("monitoring.alerts.email has a host and no recipients; name at least one")
        if bool(self._user) != bool(self._password):
            raise ConfigurationError(f"{' and '.join(SMTP_VARIABLES)} go together; set both, or none")
        if self._password and settings.security == "none":
            raise ConfigurationError(
                "monitoring.alerts.email.security is none, and a password is never sent in the clear; set starttls or "
                f"tls, or unset {SMTP_VARIABLES[1]}"
            )

    def send(self, message: AlertMessage) -> Sent:
        """Send one mail; its Message-ID is made of the key, and a recovery answers the mail of its alert."""
        server = f"mail server {self._settings.host}:{self._settings.port}"
        try:
            with self._connected() as connection:
                connection.send_message(self._mail(message))
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            return Sent(self._hidden(f"{server} refused the message ({error}); correct monitoring.alerts.email"))
        except TimeoutError:
            seconds = self._settings.timeout_seconds
            return Sent(f"{server} did not answer within {seconds:g} s", is_reachable=False)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            said = f"{server} could not be used ({type(error).__name__}: {error}); correct monitoring.alerts.email"
            return Sent(self._hidden(said), is_reachable=False)
        return Sent()

    def _connected(self) -> smtplib.SMTP:
        settings, timeout = self._settings, self._settings.timeout_seconds
        host = settings.host or ""
        trusted = ssl.create_default_context(cafile=None if settings.ca_file is None else str(settings.ca_file))
        if settings.security == "tls":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(host, settings.port, timeout=timeout, context=trusted)
        else:
            connection = smtplib.SMTP(host, settings.port, timeout=timeout)
        try:
            if settings.security == "starttls":
                connection.starttls(context=trusted)
            if self._password:
                connection.login(self._user, self._password)
        except BaseException:
            connection.close()
            raise
        return connection

    def _mail(self, message: AlertMessage) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"] = message.subject
        mail["From"] = self._settings.sender
        mail["To"] = ", ".join(self._settings.recipients)
        mail["Date"] = format_datetime(message.at_utc)
        mail["Message-ID"] = f"<{message.key}@{_MESSAGE_ID_HOST}>"
        mail["Auto-Submitted"] = "auto-generated"
        if message.is_over:
            mail["In-Reply-To"] = mail["References"] = f"<{message.began_key}@{_MESSAGE_ID_HOST}>"
        mail.set_content(f"{message.body}\n\nCause {message.cause_key}, {message.at_utc.isoformat()}\n")
        return mail

    def _hidden(self, said: str) -> str:
        return said.replace(self._password, "***") if self._password else said


def configured_channels(settings: MonitoringSettings) -> tuple[AlertChannel, ...]:
    """Return the ways to a person that the settings name; the log is none of them: it is always written.

    Raises
    ------
    ConfigurationError
        The settings of e-mail do not go together.
    """
    found: list[AlertChannel] = []
    if settings.webhook_url is not None:
        found.append(WebhookChannel(settings.webhook_url, timeout_seconds=settings.webhook_timeout_seconds))
    if settings.alerts.email.host is not None:
        found.append(EmailChannel(settings.alerts.email))
    return tuple(found)
