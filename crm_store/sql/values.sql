-- crm.fold: text as it is compared when records are looked for: lower case, no accents, œ as oe and ß as ss,
-- punctuation and runs of blanks as one blank; null when nothing is left. `L'Orée & Cie` = `l oree cie`.
--   The body is bound when it is created and inlined into queries and indexes: no search_path can change it, no call is
--   paid for. Plain ASCII, the common case, is told by its length in bytes and needs one regular expression.
--   The other half decomposes (NFKD), drops combining marks and invisible characters, spells out the letters that
--   Unicode does not decompose, and lowers last, since lower() knows only ASCII where a server runs in the C locale.
CREATE OR REPLACE FUNCTION crm.fold(text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN octet_length($1) = char_length($1)
    THEN nullif(btrim(regexp_replace(lower($1), '[^a-z0-9]+', ' ', 'g')), '')
    ELSE nullif(btrim(regexp_replace(
        lower(translate(
            replace(replace(replace(replace(replace(replace(replace(replace(
                regexp_replace(normalize($1, NFKD), '[\u0300-\u036f\u00ad\u200b-\u200d\u2060\ufeff]+', '', 'g'),
                'œ', 'oe'), 'Œ', 'oe'), 'æ', 'ae'), 'Æ', 'ae'), 'ß', 'ss'), 'ẞ', 'ss'), 'þ', 'th'), 'Þ', 'th'),
            'øØđĐðÐłŁħĦıŋŊŧŦ', 'ooddddllhhinntt')),
        '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u00d7\u00f7\u2000-\u2bff\u3000-\u303f\ufe00-\ufe0f]+',
        ' ', 'g')), '') END;

-- crm.is_set: whether an array is a set as the store keeps it: sorted (by code point), no value twice, none null.
CREATE OR REPLACE FUNCTION crm.is_set(items text[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    FOR place IN 2 .. cardinality(items) LOOP
        IF (items[place - 1] < items[place] COLLATE "C") IS NOT TRUE THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN cardinality(items) <> 1 OR items[1] IS NOT NULL;
END $$;

CREATE OR REPLACE FUNCTION crm.is_set(items bigint[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    FOR place IN 2 .. cardinality(items) LOOP
        IF (items[place - 1] < items[place]) IS NOT TRUE THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN cardinality(items) <> 1 OR items[1] IS NOT NULL;
END $$;

-- crm.as_set: the set of an array's values, as the store keeps it.
CREATE OR REPLACE FUNCTION crm.as_set(text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (SELECT coalesce(array_agg(DISTINCT item COLLATE "C" ORDER BY item COLLATE "C"), '{}')
    FROM unnest($1) AS item WHERE item IS NOT NULL);

CREATE OR REPLACE FUNCTION crm.as_set(bigint[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (SELECT coalesce(array_agg(DISTINCT item ORDER BY item), '{}') FROM unnest($1) AS item WHERE item IS NOT NULL);

-- crm.fold_company: a company's name as it is compared: folded, without its legal form, its words in any order.
--   `SARL Valentin-Dupuy` = `Valentin-Dupuy (S.à r.l.)`; a name that is nothing but a legal form stays as it is.
CREATE OR REPLACE FUNCTION crm.fold_company(text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(
    (SELECT string_agg(
            CASE word WHEN 'ets' THEN 'etablissements' WHEN 'etablissement' THEN 'etablissements'
                WHEN 'ste' THEN 'societe' WHEN 'cie' THEN 'compagnie' WHEN 'st' THEN 'saint' ELSE word END,
            ' ' ORDER BY word COLLATE "C")
        FROM regexp_split_to_table(
            btrim(regexp_replace(' ' || crm.fold($1) || ' ', ' (s a r l|s a s u|s a s|s n c|e u r l|s a|s c i)(?= )', ' ', 'g')),
            ' +') AS word
        WHERE word <> '' AND word NOT IN (
            'sa', 'sas', 'sasu', 'sarl', 'eurl', 'snc', 'sci', 'scop', 'selarl', 'selas', 'earl', 'gaec', 'gie', 'eirl', 'ei',
            'scs', 'sca', 'scm', 'scic', 'gmbh', 'ag', 'ltd', 'limited', 'llc', 'inc', 'bv', 'nv', 'srl', 'spa', 'sprl')),
    crm.fold($1));
