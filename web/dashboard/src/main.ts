/** Starts the page. */

import { read } from "./address";
import { App } from "./app";
import "./style/colours.css";
import "./style/base.css";
import "./style/bar.css";
import "./style/fleet.css";
import "./style/panel.css";
import "./style/pictures.css";
import "./style/table.css";
import "./style/own.css";
import "./style/narrow.css";

new App(read(location.hash)).start();
