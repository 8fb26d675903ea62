-- Segments of a log are read by their ids: what a query shows may lag.
DROP INDEX log_segment_by_run;
ALTER TABLE log_segment DROP COLUMN f_position;
ALTER TABLE log_segment DROP COLUMN f_run;
