from django.db import migrations, models

# A worker of before knows none of this, so the database itself has to tell it: whoever registers without saying the
# number of the rules, for this very process, is refused. Its log then shows the sentence, and it ends.
REFUSE = """
CREATE FUNCTION nodes_refuse_older() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    IF NEW.protocol < 1 OR NEW.protocol_instance IS DISTINCT FROM NEW.instance THEN
        RAISE EXCEPTION USING ERRCODE = 'CC001', MESSAGE =
            'This hub is of a newer version of clustercore than this worker, which therefore takes no work: install '
            'the hub''s version here with the line that `clustercore up --listen` prints on the hub, then start this '
            'worker again.';
    END IF;
    RETURN NEW;
END $function$;

CREATE TRIGGER nodes_refuse_older_insert BEFORE INSERT ON nodes_node
    FOR EACH ROW EXECUTE FUNCTION nodes_refuse_older();
CREATE TRIGGER nodes_refuse_older_update BEFORE UPDATE OF instance ON nodes_node
    FOR EACH ROW WHEN (OLD.instance IS DISTINCT FROM NEW.instance) EXECUTE FUNCTION nodes_refuse_older();
"""
ALLOW = """
DROP TRIGGER nodes_refuse_older_update ON nodes_node;
DROP TRIGGER nodes_refuse_older_insert ON nodes_node;
DROP FUNCTION nodes_refuse_older();
"""
# A claim asks for the node's instance, and so does a beat: a worker that runs gets nothing from now on, hears with its
# next beat that it is not known, registers, and is refused.
FORGET = "UPDATE nodes_node SET instance = gen_random_uuid(), online = false"


class Migration(migrations.Migration):
    dependencies = [
        ("nodes", "0003_contracts"),
    ]

    operations = [
        migrations.AddField(
            model_name="node",
            name="protocol",
            field=models.SmallIntegerField(db_default=0, help_text="Which rules between hub and nodes it knows."),
        ),
        migrations.AddField(
            model_name="node",
            name="protocol_instance",
            field=models.UUIDField(
                help_text="The worker process that said so; where it is not `instance`, that one knows older rules.",
                null=True,
            ),
        ),
        migrations.RunSQL(FORGET, migrations.RunSQL.noop),
        migrations.RunSQL(REFUSE, ALLOW),
    ]
