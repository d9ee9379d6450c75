// SPDX-License-Identifier: Apache-2.0
import { h, render } from "preact";
import { App } from "./screens/app.js";

const root = document.getElementById("app");
if (root) render(h(App, null), root);
