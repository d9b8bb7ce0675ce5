"""The audit log; its rows can be added and read, and nothing else."""

from django.db import migrations, models

REFUSE = """
CREATE FUNCTION access_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only added to: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER access_audit_rows_stay BEFORE UPDATE OR DELETE ON access_auditentry
    FOR EACH ROW EXECUTE FUNCTION access_audit_refuse();
CREATE TRIGGER access_audit_table_stays BEFORE TRUNCATE ON access_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION access_audit_refuse();
ALTER TABLE access_auditentry ENABLE ALWAYS TRIGGER access_audit_rows_stay;
ALTER TABLE access_auditentry ENABLE ALWAYS TRIGGER access_audit_table_stays;
"""
ALLOW = """
DROP TRIGGER access_audit_table_stays ON access_auditentry;
DROP TRIGGER access_audit_rows_stay ON access_auditentry;
DROP FUNCTION access_audit_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("access", "0002_roles")]

    operations = [
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                (
                    "seq",
                    models.BigIntegerField(help_text="From 1, without gaps.", primary_key=True, serialize=False),
                ),
                ("at", models.DateTimeField(help_text="By the database's clock.")),
                ("actor", models.TextField()),
                ("actor_id", models.BigIntegerField(null=True)),
                ("action", models.TextField()),
                ("target", models.TextField(blank=True)),
                ("detail", models.JSONField()),
                ("previous", models.CharField(help_text="The digest of the entry before.", max_length=64)),
                ("digest", models.CharField(help_text="SHA-256 over all the other columns.", max_length=64)),
            ],
            options={"ordering": ["-seq"]},
        ),
        migrations.RunSQL(REFUSE, ALLOW),
    ]
