// server.mjs with what README.md advises.
import http from 'node:http';

let stopping = 0; // when the signal came

const server = http.createServer((req, res) => {
  if (stopping) res.setHeader('Connection', 'close');
  if (req.url === '/healthz') return res.end('ok');
  if (req.url === '/readyz') {
    res.statusCode = stopping ? 503 : 200;
    return res.end();
  }
  const chunks = [];
  req.on('data', (c) => chunks.push(c));
  req.on('end', () => res.end(Buffer.concat(chunks)));
});

const open = new Set(); // connections
server.on('connection', (c) => open.add(c.once('close', () => open.delete(c))));

function stop() {
  if (stopping) {
    if (Date.now() - stopping > 5) process.exit(1); // a second signal, and not the same one twice
    return;
  }
  stopping = Date.now();
  setTimeout(() => { // longer than balancers take to notice
    server.close(() => process.exit(0));
    for (const c of open) if (!c.bytesRead) c.destroy(); // has never said anything
    setTimeout(() => process.exit(1), 5000); // less than the platform's grace
  }, Number(process.env.DELAY ?? 5000));
}
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
process.stdout.on('error', () => {}); // the reader of the log may go away
process.stderr.on('error', () => {});

server.listen(process.env.PORT, () => console.log('listening'));
