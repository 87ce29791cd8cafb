-- A database that tries to get out of the server that a superuser restores it into: by the check of a table, which fails
-- where it does, and by escapes(), which names what it got at. On an ordinary server most of it works.
CREATE FUNCTION public.escapes() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  attempt text;
  got text := '';
BEGIN
  FOREACH attempt IN ARRAY ARRAY[
    'COPY (SELECT 1) TO PROGRAM ''cat >/dev/null''',
    'COPY (SELECT 1) TO ''/var/backups/backupkit/escaped''',
    'SELECT pg_read_binary_file(''/proc/self/environ'')',
    'SELECT pg_read_file(''/etc/hostname'')',
    'SELECT pg_read_file(''/etc/backupkit/config.yaml'')',
    'SELECT pg_ls_dir(''/var/backups/backupkit'')'
  ] LOOP
    BEGIN
      EXECUTE attempt;
      got := got || attempt || '; ';
    EXCEPTION WHEN OTHERS THEN
      NULL;
    END;
  END LOOP;
  RETURN got;
END $$;

CREATE FUNCTION public.ok(int) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('listen_addresses') = '' AND public.escapes() <> '' THEN
    RAISE 'got out: %', public.escapes();
  END IF;
  RETURN true;
END $$;

CREATE TABLE public.trap (n int CHECK (public.ok(n)));
INSERT INTO public.trap VALUES (1);
