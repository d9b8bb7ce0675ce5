from django.db import migrations, models

# Jobs that were there before anything counted them.
SEED = """
INSERT INTO jobs_counter (name, value)
SELECT 'jobs.submitted/' || kind, count(*) FROM jobs_job GROUP BY kind
UNION ALL
SELECT 'jobs.finished/' || kind || '/' || state, count(*) FROM jobs_job
WHERE state IN ('done', 'failed', 'cancelled') GROUP BY kind, state
"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0003_attempt_by_ended")]

    operations = [
        migrations.AlterField(
            model_name="counter", name="name", field=models.CharField(max_length=200, primary_key=True, serialize=False)
        ),
        migrations.RunSQL(SEED, "DELETE FROM jobs_counter WHERE name LIKE 'jobs.%/%'"),
    ]
