"""The body of the method, as both FastAPI peers take it."""

from pydantic import BaseModel

PATH = "/crmapi/rest/v2/nagravision/provisioning_requests/pair_smartcard_decoder"


class Identifier(BaseModel):
    serial_number: str


class PairCall(BaseModel):
    smartcard_identifier: Identifier
    stb_identifier: Identifier
