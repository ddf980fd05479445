/** The pack's page side: what the front end calls, and which module answers. Every other file here only defines. */

import { app } from "../../../scripts/app.js";
import { names } from "./choices.js";
import { keepOutOfWorkflows } from "./node_line.js";
import { bringSamples } from "./sample.js";
import { drawServices } from "./settings.js";
import { settle, settleWhenConfigured } from "./shared_workflow.js";
import { showTaskIds } from "./task_id.js";

app.registerExtension({
  name: "PortraitCartoonize",
  settings: [
    {
      id: "PortraitCartoonize.Services",
      name: "Services and keys",
      category: ["Portrait Cartoonize", "Services"],
      type: drawServices,
      defaultValue: null, // draws only: keys and names of services never become a setting
    },
  ],
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!names(nodeData.name)) return;
    keepOutOfWorkflows(nodeType);
    settleWhenConfigured(nodeType);
    if (nodeData.name === "CartoonizeSubmit") showTaskIds(nodeType);
  },
  beforeConfigureGraph: (workflow) => bringSamples(workflow),
  afterConfigureGraph: () => settle(),
});
