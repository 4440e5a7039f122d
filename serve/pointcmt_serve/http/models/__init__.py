"""The models a server has: found, loaded, warmed up, replaced and unloaded."""

from pointcmt_serve.http.models.repository import Repository
from pointcmt_serve.http.models.served import Host, Served

__all__ = ["Host", "Repository", "Served"]
