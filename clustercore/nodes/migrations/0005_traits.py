import django.contrib.postgres.fields
from django.db import migrations, models

# Which languages a model knew, and two abilities, were columns of their own.
FILLED = """
UPDATE nodes_nodemodel SET traits =
    ARRAY(SELECT 'lang:' || code FROM unnest(languages) AS code)
    || CASE WHEN detects_language THEN ARRAY['detects-language'] ELSE '{}' END
    || CASE WHEN word_timestamps THEN ARRAY['word-times'] ELSE '{}' END
"""
# A worker of before would write the columns that are gone, and claim by what no unit says any more.
REFUSE = """
CREATE OR REPLACE FUNCTION nodes_refuse_older() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    IF NEW.protocol < {protocol} OR NEW.protocol_instance IS DISTINCT FROM NEW.instance THEN
        RAISE EXCEPTION USING ERRCODE = 'CC001', MESSAGE =
            'This hub is of a newer version of clustercore than this worker, which therefore takes no work: install '
            'the hub''s version here with the line that `clustercore up --listen` prints on the hub, then start this '
            'worker again.';
    END IF;
    RETURN NEW;
END $function$;
"""
# As the trigger of before allows it.
FORGET = """
UPDATE nodes_node n SET instance = other.one, protocol_instance = other.one, protocol = 1, online = false
FROM (SELECT id, gen_random_uuid() AS one FROM nodes_node) other WHERE other.id = n.id
"""


class Migration(migrations.Migration):
    dependencies = [
        ("nodes", "0004_protocol"),
    ]

    operations = [
        migrations.AddField(
            model_name="nodemodel",
            name="traits",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.TextField(),
                db_default=[],
                default=list,
                help_text="What it can do beside that.",
                size=None,
            ),
        ),
        migrations.RunSQL(FILLED, migrations.RunSQL.noop),
        migrations.RemoveField(model_name="nodemodel", name="languages"),
        migrations.RemoveField(model_name="nodemodel", name="detects_language"),
        migrations.RemoveField(model_name="nodemodel", name="word_timestamps"),
        migrations.AlterField(
            model_name="nodemodel",
            name="rung",
            field=models.SmallIntegerField(default=0, help_text="Higher is better; 0 is the last."),
        ),
        migrations.RunSQL(FORGET, migrations.RunSQL.noop),
        migrations.RunSQL(REFUSE.format(protocol=2), REFUSE.format(protocol=1)),
    ]
