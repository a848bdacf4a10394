/* The broker's own script in a Worker: each port that the page posts to it is a client. */
import "../../../broker/worker.ts";
