// A clock in a thread of its own: the timers of a page that nobody looks at run once a second at most. Its messages arrive at any time.

addEventListener("message", event => setInterval(() => postMessage(null), event.data));
