update posts set channel_id = 'C2' where kind = 'card';
