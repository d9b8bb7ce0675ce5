from django.db import migrations

# Before, every ranked unit of a job without a language went to models that detect one: those of `detect`.
PREFERRED = """
UPDATE jobs_unit u SET prefers = '{detects-language}' FROM jobs_job j
WHERE j.id = u.job_id AND j.kind = 'transcription' AND u.stage = 'detect'
  AND u.state IN ('blocked', 'queued', 'leased', 'held')
"""


class Migration(migrations.Migration):
    dependencies = [
        ("transcription", "0003_references"),
        ("jobs", "0021_traits"),
    ]

    operations = [
        migrations.RunSQL(PREFERRED, migrations.RunSQL.noop),
    ]
