-- Views over the entities' columns go before these are changed (a view keeps its columns from changing type), and come
-- back from views.sql.
DROP VIEW IF EXISTS sync.difference;
