from django.db import migrations

# What the jobs that were there before need: the recording to be cut, a piece to be heard, the first to tell a language.
FILL = """
INSERT INTO jobs_jobblob (job_id, unit_id, sha256)
SELECT r.job_id, u.id, r.blob FROM transcription_recording r JOIN jobs_unit u ON u.job_id = r.job_id AND u.stage = 'cut'
UNION
SELECT u.job_id, u.id, p.blob FROM transcription_piece p JOIN jobs_unit u ON u.id = p.unit_id
UNION
SELECT u.job_id, u.id, u.payload ->> 'blob' FROM jobs_unit u JOIN transcription_recording r ON r.job_id = u.job_id
WHERE u.stage = 'detect'
ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [("transcription", "0002_corrections"), ("jobs", "0007_job_blob"), ("blobs", "0003_blob_stamped")]

    operations = [migrations.RunSQL(FILL, migrations.RunSQL.noop)]
