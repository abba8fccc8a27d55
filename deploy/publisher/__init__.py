"""The publisher: releases, as signed plain files that any web server or USB stick can carry."""
