update traces set shown_by = 'traces p http://127.0.0.1/', missed_at_ms = 5;
update observations set payload_hash = 'h';
