/** Starts the page. */

import { read } from "./address";
import { App } from "./app";
import "./style.css";

new App(read(location.hash)).start();
