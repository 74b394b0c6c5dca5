def write_report(hub, run_id):
    return hub.home / "reports" / f"run_{run_id}.html"
