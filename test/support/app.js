// What an application of one line loads; `npm run check:size` weighs it.
import { connect } from "../../dist/index.js";

export const mq = connect();
