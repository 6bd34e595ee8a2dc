"""Earth Engine made ready for a run."""


def init_ee(project: str | None = None, use_highvolume: bool = True) -> None:
    """Make the Earth Engine client of this process ready; do nothing if it is ready with the same settings.

    Args:
        project: Google Cloud project that is registered for Earth Engine; else the one in the credentials.
        use_highvolume: Ask the public service at its address for many small requests.

    Raises:
        CredentialsError: If credentials or project are missing or refused; the message says how to get and where to
            put them.
        ServiceError: If the service does not answer.
    """
    from darts_acquisition.services.earthengine import init_earthengine

    init_earthengine(project, use_highvolume)
