import { describeCells } from "../support/fault-matrix.ts";

describeCells("push");
