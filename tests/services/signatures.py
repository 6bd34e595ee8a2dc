"""What a storage does with signatures (AWS Signature Version 4): compute them again and compare."""

import hashlib
import hmac
import re
from urllib.parse import quote, unquote, urlsplit

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<scope>[^,]+), ?"
    r"SignedHeaders=(?P<signed>[^,]+), ?Signature=(?P<sum>.+)"
)


class Signatures:
    """Refuses requests that are not signed with a key pair, or carry a session token that is none of those that hold.

    Use it as the `refuse` of a proxy; `checked` counts the good ones.
    """

    def __init__(self, key="key", secret="secret", tokens=(None,)):
        self.key, self.secret, self.tokens, self.checked = key, secret, tokens, 0

    def __call__(self, method, path, headers):
        given = _AUTHORIZATION.fullmatch(headers.get("Authorization") or "")
        if given is None:
            return 403, _error("AccessDenied", "Access Denied")
        if given["key"] != self.key:
            return 403, _error("InvalidAccessKeyId", "The access key does not exist.")
        if headers.get("X-Amz-Security-Token") not in self.tokens:
            return 400, _error("ExpiredToken", "The provided token has expired.")
        if not hmac.compare_digest(self._signature(method, path, headers, given), given["sum"]):
            return 403, _error("SignatureDoesNotMatch", "The signature does not match.")
        self.checked += 1
        return None

    def _signature(self, method, path, headers, given):
        parts = urlsplit(path)
        pairs = [pair.partition("=") for pair in parts.query.split("&") if pair]
        query = "&".join(sorted(f"{_encoded(name)}={_encoded(value)}" for name, _, value in pairs))
        signed = "".join(
            f"{name}:{' '.join((headers.get(name) or '').split())}\n" for name in given["signed"].split(";")
        )
        request = [method, quote(unquote(parts.path), safe="/-_.~"), query, signed, given["signed"]]
        request.append(headers.get("X-Amz-Content-Sha256"))
        digest = hashlib.sha256("\n".join(request).encode()).hexdigest()
        text = "\n".join(["AWS4-HMAC-SHA256", headers.get("X-Amz-Date"), given["scope"], digest])
        key = f"AWS4{self.secret}".encode()
        for part in given["scope"].split("/"):
            key = _hmac(key, part)
        return _hmac(key, text).hex()


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _encoded(text):
    return quote(unquote(text), safe="-_.~")


def _error(code, message):
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
